"""The checkout, the machine, errors and files."""
