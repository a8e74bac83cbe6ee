"""Sweeps: many runs of a chapter."""
