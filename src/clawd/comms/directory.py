"""Who there is, and who may be seen: one function decides visibility for every path."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from clawd.errors import Invalid, NotFound, Refused
from clawd.ids import OPERATOR


@dataclass(frozen=True, slots=True)
class Entry:
    """What others may know of a session, and how it may be reached."""

    id: str
    name: str
    description: str = ""
    role: str = "hybrid"
    capabilities: tuple[str, ...] = ()
    organization: str = "default"
    enabled: bool = True
    a2a: bool = True
    hidden: bool = False
    wake: bool = True


class Directory:
    """The sessions that exist, by id."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def put(self, entry: Entry) -> Entry | None:
        """Add or change a session; what was there before."""
        before = self._entries.get(entry.id)
        self._entries[entry.id] = entry
        return before

    def remove(self, session_id: str) -> None:
        """Forget a session."""
        self._entries.pop(session_id, None)

    def get(self, session_id: str) -> Entry | None:
        """A session by id, whoever asks."""
        return self._entries.get(session_id)

    def all(self) -> list[Entry]:
        """Every session, in the order in which they came."""
        return list(self._entries.values())

    def related(self, viewer: str, entry: Entry) -> bool:
        """Whether the two belong together at all: same organization, both with A2A."""
        if viewer == OPERATOR:
            return True
        own = self._entries.get(viewer)
        return own is not None and own.a2a and own.organization == entry.organization

    def visible(self, viewer: str, entry: Entry) -> bool:
        """Whether ``viewer`` may see ``entry`` in any list, search, prompt or error text."""
        if viewer == OPERATOR:
            return True
        if entry.id == viewer or not self.related(viewer, entry):
            return False
        return entry.enabled and entry.a2a and not entry.hidden

    def find(
        self, viewer: str, capability: str | None = None, query: str | None = None
    ) -> list[Entry]:
        """The visible sessions that have the capability and all words of the query.

        A capability that ends in ``*`` matches by its beginning.
        """
        words = (query or "").casefold().split()
        return [
            entry
            for entry in self._entries.values()
            if self.visible(viewer, entry)
            and (not capability or _offers(entry, capability))
            and all(word in _text(entry) for word in words)
        ]

    def reach(self, sender: str, target: str) -> Entry:
        """The session that ``sender`` may write to or delegate to; the error says why not.

        An unknown id and one of another organization get the same answer; a hidden session is
        reached by its id.
        """
        if target == sender == OPERATOR:
            raise Invalid("self_send", "the operator is you, not a session", hint="name a session")
        if target == sender:
            raise Invalid(
                "self_send", "a session cannot send to itself", hint="name another session"
            )
        entry = self._entries.get(target)
        if entry is None or not self.related(sender, entry):
            raise self.unknown(sender, target)
        if not entry.enabled:
            raise Refused(
                "session_disabled", f"session {target!r} is disabled", hint="choose another session"
            )
        if not entry.a2a and sender != OPERATOR:
            raise Refused(
                "a2a_disabled",
                f"session {target!r} takes no messages from sessions",
                hint="choose another session",
            )
        return entry

    def unknown(self, viewer: str, target: str) -> NotFound:
        """The error for an id that is not there, naming the nearest that the viewer may see."""
        seen = [entry.id for entry in self._entries.values() if self.visible(viewer, entry)]
        near = difflib.get_close_matches(target, seen, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        shown = ascii(target[:80])
        return NotFound(
            "unknown_session",
            f"there is no session {shown}",
            hint=f"{hint}known: {', '.join(seen) or 'none'}",
        )


def _offers(entry: Entry, capability: str) -> bool:
    wanted = capability.casefold()
    offered = [c.casefold() for c in entry.capabilities]
    if wanted.endswith("*"):
        return any(c.startswith(wanted[:-1]) for c in offered)
    return wanted in offered


def _text(entry: Entry) -> str:
    return " ".join((entry.id, entry.name, entry.description, *entry.capabilities)).casefold()
