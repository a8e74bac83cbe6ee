"""The ground: errors, checks, files and the cache."""
