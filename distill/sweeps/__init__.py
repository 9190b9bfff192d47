"""A sweep folder: many runs, each in its own process, and what became of each. Imports no torch."""
