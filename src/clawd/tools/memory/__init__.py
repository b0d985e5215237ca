"""What a session keeps for weeks: notes as Markdown files, and an index that finds them."""
