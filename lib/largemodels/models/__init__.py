"""What every chapter does with a network: load, batch, train, measure."""
