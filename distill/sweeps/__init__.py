"""A sweep folder: the identity of a run, its status, retry and resume."""
