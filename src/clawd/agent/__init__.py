"""The agent: what a tool is, what fits into the model's window, and the one loop."""
