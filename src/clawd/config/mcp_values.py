"""Whether what MCP servers are given, in ``env`` and ``headers``, is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from clawd.config.filling import filled, refers
from clawd.config.keys import key_file, readable_by_others
from clawd.config.literals import named_secret
from clawd.config.schema import Config
from clawd.config.structure import Finding
from clawd.errors import Invalid


def check_mcp_values(
    config: Config, environ: Mapping[str, str], home: Path | None, file: Path | None
) -> Iterator[Finding]:
    """Warnings: a value that cannot be had holds its server, and nothing else."""
    for session in config.sessions.values():
        for name, server in session.mcp_servers.items():
            for block, values in (("env", server.env), ("headers", server.headers)):
                for key, written in values.items():
                    path = ("sessions", session.id, "mcpServers", name, block, key)
                    try:
                        filled(written, environ, home)
                    except Invalid as error:
                        hint = f"{error.hint}; until then server '{name}' is not started"
                        yield Finding(path, error.message, hint, "warning")
                        continue
                    text = written.reveal()
                    literal = not refers(text) and named_secret(key)
                    place = file if literal else key_file(written, environ, home)
                    if place is not None and readable_by_others(place):
                        yield Finding(
                            path,
                            f"the value stands in {str(place)!a}, which other users can read",
                            f"Run: chmod 600 {str(place)!a}",
                            "warning",
                        )
