"""Figures: the style of all of them, and the interactive ones."""
