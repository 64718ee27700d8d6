"""Training and evaluation: what turns a checked configuration into weights and metrics."""
