"""Commands: one at a time, or long ones in the background, in a sandbox of their own."""
