"""Models: the port that the agent loop knows, and the endpoints behind it."""
