"""The documentation of the installed packages, read as a corpus."""
