"""The composition root: builds the house, runs it and stops it."""
