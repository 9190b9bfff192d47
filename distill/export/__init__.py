"""A student as a file that others run, re-checked after it is written."""
