"""The subject of the book: what the chapters teach, one module a chapter."""
