"""The tool: how chapters are parameterised, run, swept, checked and published."""
