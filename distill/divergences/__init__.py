"""Pure functions of two log-probabilities, (log p, log q) -> nats per token; one family a file."""
