"""What model calls use and cost: reserved before each call, settled after, kept for good."""
