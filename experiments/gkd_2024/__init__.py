"""Agarwal et al. 2024: how much of the text should be the student's own, and under which divergence. Warm starts are here."""
