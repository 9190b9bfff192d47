"""Anshumann et al. 2025: what a cheap store of the teacher's distribution may leave out. The top-K baselines are here."""
