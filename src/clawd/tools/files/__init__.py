"""Files in the workspace: read, written, edited, found and deleted, and nothing outside it."""
