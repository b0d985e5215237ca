"""What is kept of the tools that a server showed, so that a change is noticed after weeks too."""

from __future__ import annotations

import msgspec

FILE_NAME = "mcp.jsonl"


class SeenTool(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A tool of a server of a session as it was accepted; without ``tool``, the server itself.

    ``origin`` is a digest of what the operator wrote of the server: with another one everything is
    accepted anew. ``parameters`` is JSON.
    """

    id: str
    session: str
    server: str
    origin: str
    time: str
    tool: str = ""
    fingerprint: str = ""
    description: str = ""
    parameters: str = ""
    by: str = ""
    """``operator`` when a human approved of it, "" when it came with the server's first list."""


def tool_id(session: str, server: str, tool: str = "") -> str:
    """The id of a record."""
    return f"{session}/{server}/{tool}" if tool else f"{session}/{server}"
