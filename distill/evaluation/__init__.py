"""One measure a file, (student, data, teacher) -> rows."""
