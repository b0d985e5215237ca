"""What is kept on disk: the one append-only log, and files written whole."""
