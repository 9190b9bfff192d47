"""Gu et al. 2024, MiniLLM: what each of its three corrections is worth, on bracket strings of many lengths."""
