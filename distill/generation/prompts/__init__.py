"""What a teacher is asked: one source a file."""
