"""Text to learn from: corpora, tasks, files, the Hub."""
