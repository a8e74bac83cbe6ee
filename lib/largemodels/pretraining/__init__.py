"""Pretraining: tokenizers, encoders, masked language modelling, next-sentence prediction."""
