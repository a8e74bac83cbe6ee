"""Scaling: what a model costs, and how its loss falls with size, text and compute."""
