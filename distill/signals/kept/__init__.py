"""How a teacher's word is written down: what of it, in which dtype, how many bytes a token."""
