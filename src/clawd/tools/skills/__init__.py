"""Agent Skills: folders with instructions that a session opens when it needs them."""
