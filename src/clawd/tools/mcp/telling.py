"""What `clawd mcp` shows of a server and its tools."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec

from clawd.messages import JSON
from clawd.tools.mcp.offers import Offer, Shown
from clawd.tools.mcp.records import SeenTool
from clawd.tools.mcp.server import Server
from clawd.tools.mcp.unseen import with_unseen_shown

_MOST_LINES = 200


def server_json(server: Server, *, whole: bool = False) -> JSON:
    """A server with its tools; ``whole`` with what each of them says of itself."""
    accepted = server.accepted()
    connection = server.connection
    return {
        "session": server.session,
        "server": server.name,
        "state": server.state,
        "reason": server.reason,
        "start": server.settings.shown,
        "sandbox": server.settings.sandbox if server.settings.command else None,
        "protocol": connection.protocol if connection else "",
        "title": with_unseen_shown(connection.title) if connection else "",
        "restarts": server.restarts,
        "tools": [
            _tool_json(offer, accepted.get(offer.shown.tool), whole=whole)
            for offer in server.offers
        ],
    }


def _tool_json(offer: Offer, accepted: SeenTool | None, *, whole: bool) -> JSON:
    shown = offer.shown
    found: JSON = {
        "tool": with_unseen_shown(shown.tool),
        "name": offer.name,
        "state": offer.state,
        "reason": offer.reason,
    }
    if offer.state == "held":
        found |= {
            "fingerprint": shown.fingerprint,
            "difference": list(_difference(accepted, shown)),
        }
    if whole:
        found |= {
            "description": with_unseen_shown(shown.description),
            "parameters": offer.declaration.parameters if offer.declaration else None,
        }
    return found


def _difference(accepted: SeenTool | None, shown: Shown) -> Iterator[str]:
    """The lines that changed, as in a patch, with what is unseen made visible."""
    before = _lines(accepted.description, accepted.parameters) if accepted else []
    lines = difflib.unified_diff(before, _lines(shown.description, shown.parameters), n=0)
    for count, line in enumerate(lines):
        if count >= _MOST_LINES:
            yield "…"
            return
        if not line.startswith(("---", "+++", "@@")):
            yield with_unseen_shown(line)


def _lines(description: str, parameters: str) -> list[str]:
    pretty = msgspec.json.format(parameters, indent=1) if parameters else ""
    return [*description.splitlines(), *pretty.splitlines()]
