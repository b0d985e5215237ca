"""What a session can do besides talking to others: one folder a group of tools."""
