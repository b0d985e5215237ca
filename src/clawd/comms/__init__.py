"""Messages, tasks and discovery between sessions and their human."""
