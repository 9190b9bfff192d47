"""Sequence-level distillation on a task with many right answers."""
