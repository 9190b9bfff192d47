"""A teacher writes into a data set: prompts, candidates, filters, picks, and an account of all that is dropped."""
