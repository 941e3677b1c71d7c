"""Distillation: an unpruned model teaches a smaller one on the user's own texts."""
