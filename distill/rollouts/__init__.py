"""Who writes the text that a step trains on."""
