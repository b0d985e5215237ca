"""The chat: one answer for scripts, and the interactive screen."""
