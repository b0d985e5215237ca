"""clawd: a long-running daemon of personal-agent sessions."""

__version__ = "0.1.0"
