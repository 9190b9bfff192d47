"""A model behind HTTP on this machine: what vLLM's server says of prompts, for clients that need no more than that."""
