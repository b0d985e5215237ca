"""What a command sees of the machine and may take of it: bubblewrap's arguments, and limits.

For whoever runs a command on a session's behalf: ``sandboxed`` of ``clawd.sandbox.command``.
"""
