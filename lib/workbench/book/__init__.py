"""The book: pages, the Sphinx extension, the check of its chapters."""
