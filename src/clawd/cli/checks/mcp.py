"""The MCP servers of sessions: whether they can be started, and how they are."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

from clawd.cli.checks.check import Check
from clawd.cli.client import Client
from clawd.errors import ClawdError
from clawd.sandbox.probe import try_it
from clawd.tools.mcp.problems import EXTRA

if TYPE_CHECKING:
    from clawd.config.schema import Config


def mcp(config: Config, client: Client) -> Iterator[Check]:
    """Nothing when no session has a server; else what is missing, and what waits for a human."""
    enabled = [session for session in config.sessions.values() if session.enabled]
    servers = [(s.id, name, each) for s in enabled for name, each in s.mcp_servers.items()]
    if not servers:
        return
    if importlib.util.find_spec("mcp") is None:
        names = ", ".join(dict.fromkeys(session for session, _, _ in servers))
        yield Check("mcp", "error", f"MCP servers of {names} need a package", EXTRA)
        return
    confined = [name for _, name, each in servers if each.command and each.sandbox]
    if confined and (problem := try_it()).problem:
        text = f"{problem.problem}; {', '.join(confined)} cannot be started"
        yield Check("mcp", "error", text, problem.mend)
    bare = [name for _, name, each in servers if each.command and not each.sandbox]
    if bare:
        text = f"MCP servers run without a sandbox, as this user: {', '.join(bare)}"
        yield Check("mcp", "warning", text, "leave sandbox out")
    yield from _running(client)


def _running(client: Client) -> Iterator[Check]:
    try:
        items = client.get("/api/mcp")["items"]
    except ClawdError:
        return  # the check of the daemon says why
    for item in items:
        where = f"{item['server']} of {item['session']}"
        held = sum(tool["state"] == "held" for tool in item["tools"])
        if held:
            text = f"{where} changed {held} of its tools, which are held"
            yield Check("mcp", "warning", text, f"clawd mcp approve {item['server']}")
        if item["state"] in ("waiting", "parked"):
            mend = f"clawd mcp restart {item['server']}"
            yield Check("mcp", "warning", f"{where} is {item['state']}: {item['reason']}", mend)
    ready = sum(item["state"] == "ready" for item in items)
    yield Check("mcp", "ok", f"{ready} of {len(items)} MCP servers are ready")
