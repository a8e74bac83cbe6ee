"""The subject of the book, what the chapters teach: a wing a chapter, over shared ground."""
