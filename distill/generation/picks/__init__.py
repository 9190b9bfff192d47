"""Which of the candidates that stayed are taken: one rule a file."""
