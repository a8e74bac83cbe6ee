"""Recorded results: runs and sweeps that are kept with the book."""
