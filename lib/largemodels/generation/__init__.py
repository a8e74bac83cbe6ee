"""Generation: the decoder, its loss, sampling, and what it can do."""
