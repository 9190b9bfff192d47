"""What watches a training: it decides when to validate, when to save, what to show; never what is learned."""
