"""Pooling: many values into few."""
