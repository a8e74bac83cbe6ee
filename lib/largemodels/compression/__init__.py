"""Smaller and cheaper networks: coarser numbers for the weights, fewer of them, and students of larger networks."""
