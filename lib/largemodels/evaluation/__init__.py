"""Evaluation: metrics, error analysis, leakage, choosing a model."""
