"""Which candidates stay: one filter a file. What each drops is counted under its name."""
