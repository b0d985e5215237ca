"""Curiosity: open ends in what a session knows, found without a model, kept as objectives."""
