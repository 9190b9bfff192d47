"""all-MiniLM-L6-v2 as a maker of vectors, into two of its layers."""
