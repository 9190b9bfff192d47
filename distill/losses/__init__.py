"""Per-token losses, each declares what it needs; objective.py is the only sum, vocabulary.py the one pass."""
