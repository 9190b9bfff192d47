"""Anshumann et al. 2025: what a cheap store of a teacher may leave out. The top-K baselines are here."""
