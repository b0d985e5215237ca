"""From what a server lists to what a session is offered; the rest is held, or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from clawd.agent.tool import Declaration
from clawd.config.mcp import McpServer
from clawd.messages import JSON
from clawd.tools.mcp.limits import (
    DESCRIPTION_CHARACTERS,
    MOST_LISTED,
    MOST_OFFERED,
    OFFERED_BYTES,
    TOOL_NAME,
)
from clawd.tools.mcp.naming import named
from clawd.tools.mcp.records import SeenTool
from clawd.tools.mcp.schemas import Unusable, encoded, usable
from clawd.tools.mcp.unseen import without_unseen

_KEPT = 4 * DESCRIPTION_CHARACTERS
"""How much of a description is kept to show what changed; its fingerprint is of all of it."""

State = Literal["offered", "held", "refused", "left out"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as its server lists it."""

    tool: str
    description: str
    parameters: JSON


@dataclass(frozen=True, slots=True)
class Shown:
    """A tool as a server shows it: what an approval is about."""

    tool: str
    fingerprint: str
    description: str
    parameters: str
    """As JSON, the same for the same content."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What becomes of one tool; only one that is offered or held has a declaration."""

    shown: Shown
    state: State
    reason: str = ""
    declaration: Declaration | None = None

    @property
    def name(self) -> str:
        """The name under which the session has it, "" when it never can."""
        return self.declaration.name if self.declaration else ""


def shown_as(listed: Listed) -> Shown:
    """The tool with its fingerprint: everything of it that a model would read."""
    try:
        parameters = encoded(listed.parameters).decode()
    except Unusable:
        parameters = ""
    text = f"{listed.tool}\0{listed.description}\0{parameters}"
    fingerprint = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    description = listed.description[:_KEPT].encode(errors="replace").decode()
    return Shown(listed.tool, fingerprint, description, parameters)


def offers(
    server: str,
    settings: McpServer,
    listed: Sequence[Listed],
    accepted: Mapping[str, SeenTool] | None,
) -> list[Offer]:
    """What becomes of each tool; with None accepted, all that can be offered is. Blocks on CPU."""
    found: list[Offer] = []
    names = named(server, (each.tool for each in listed if len(each.tool) <= TOOL_NAME))
    seen: set[str] = set()
    size = count = 0
    for each in listed[:MOST_LISTED]:
        offer = _offer(settings, each, names, seen)
        seen.add(each.tool)
        if offer.declaration is not None:
            size += len(bytes(offer.declaration.encoded))
            count += 1
            if count > MOST_OFFERED:
                offer = _refused(offer.shown, f"the server has more than {MOST_OFFERED} tools")
            elif size > OFFERED_BYTES:
                offer = _refused(offer.shown, f"its tools take more than {OFFERED_BYTES} bytes")
            else:
                offer = held(offer, accepted)
        found.append(offer)
    return found


def held(offer: Offer, accepted: Mapping[str, SeenTool] | None) -> Offer:
    """The same tool, held when it is not as it was accepted."""
    if offer.declaration is None or accepted is None:
        return offer
    known = accepted.get(offer.shown.tool)
    if known is None:
        return replace(offer, state="held", reason="new since the server was first seen")
    if known.fingerprint != offer.shown.fingerprint:
        return replace(offer, state="held", reason="changed since it was accepted")
    return replace(offer, state="offered", reason="")


def _offer(settings: McpServer, listed: Listed, names: Mapping[str, str], seen: set[str]) -> Offer:
    shown = shown_as(Listed(listed.tool[: TOOL_NAME + 1], listed.description, listed.parameters))
    if not listed.tool or len(listed.tool) > TOOL_NAME:
        return _refused(shown, f"its name has {len(listed.tool)} characters, of 1 to {TOOL_NAME}")
    if listed.tool in seen:
        return _refused(shown, "the server lists it twice")
    if not _wanted(settings, listed.tool):
        return Offer(shown, "left out", "by allow or deny of the server")
    if listed.tool not in names:
        return _refused(shown, "another tool of the server has the same name here")
    try:
        listed.tool.encode()
        parameters = usable(listed.parameters)
    except UnicodeEncodeError:
        return _refused(shown, "its name is no text")
    except Unusable as reason:
        return _refused(shown, str(reason))
    description = without_unseen(listed.description).strip()
    if len(description) > DESCRIPTION_CHARACTERS:
        description = f"{description[:DESCRIPTION_CHARACTERS]}… [cut]"
    declaration = Declaration(
        names[listed.tool], description, None, parameters, settings.timeout_seconds, untrusted=True
    )
    return Offer(shown, "offered", "", declaration)


def _refused(shown: Shown, reason: str) -> Offer:
    return Offer(shown, "refused", reason)


def _wanted(settings: McpServer, tool: str) -> bool:
    allowed = settings.allow is None or any(fnmatchcase(tool, each) for each in settings.allow)
    return allowed and not any(fnmatchcase(tool, each) for each in settings.deny)
