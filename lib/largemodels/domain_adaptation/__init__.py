"""Domain adaptation: shifts, and what helps against them."""
