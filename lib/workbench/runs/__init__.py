"""Runs of a chapter: their keys, their records, what has changed since."""
