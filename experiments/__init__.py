"""One folder a paper: its claim, its config, its measured table. Imports ``distill``, never the reverse."""
