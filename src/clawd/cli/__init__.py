"""The terminal: a thin client of the daemon's local API."""
