"""The press: how chapters are parameterised, run, checked and published."""
