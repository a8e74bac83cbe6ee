"""Attention and vectors: the mathematics that everything else stands on."""
