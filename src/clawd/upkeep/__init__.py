"""Looking after a home from outside: every file verified, and mended when no daemon runs."""
