"""The tools of MCP servers: started or asked on a session's behalf, supervised, never trusted.

The official ``mcp`` package is an extra. Only ``connection`` and what it imports know it, and that
is loaded when the first server starts.
"""
