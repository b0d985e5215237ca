"""Reading the web: pages as text, and searches."""
