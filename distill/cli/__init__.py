"""Verbs of the command line; the only room that ever sees a config."""
