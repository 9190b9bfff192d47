"""Self-distillation of 2026 (SDFT, OPSD): a new task from answers that a copy of the student alone is shown."""
