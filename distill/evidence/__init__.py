"""What a paper claims, what was measured here, and a verdict by a stated rule. Imports no torch."""
