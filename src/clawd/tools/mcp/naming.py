"""The names under which a session has a server's tools: ``<server>__<tool>``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from clawd.tools.mcp.limits import FULL_NAME

_ODD = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST = 6


def full_name(server: str, tool: str) -> str:
    """The name, of what model endpoints take; the end of a long one becomes a digest of it."""
    name = f"{server}__{_ODD.sub('_', tool)}"
    if len(name) <= FULL_NAME:
        return name
    digest = hashlib.sha256(tool.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{name[: FULL_NAME - _DIGEST - 1]}_{digest}"


def named(server: str, tools: Iterable[str]) -> dict[str, str]:
    """The names by tool; those that another tool has already are left out.

    A tool whose name needs no change has it before one whose name does, whatever their order.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    plain = f"{server}__"
    for tool in sorted(
        set(tools), key=lambda tool: (full_name(server, tool) != plain + tool, tool)
    ):
        name = full_name(server, tool)
        if name not in taken:
            taken.add(name)
            found[tool] = name
    return found
