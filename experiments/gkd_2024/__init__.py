"""Agarwal et al. 2024: how much of the text should be the student's own. Where its students begin is here too."""
