"""Parameters of a chapter: types, contract, requests."""
