"""Tables, curves, heatmaps and pages from rows alone."""
