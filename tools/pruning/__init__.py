"""Structured pruning: plans that say which channels, heads and layers of a checkpoint go, and what makes them go."""
