"""MiniLM as a classifier of WordNet's glosses, into two layers."""
