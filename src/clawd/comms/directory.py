"""Who there is, and who may be seen: one function decides visibility for every path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clawd.comms.caller import Caller
from clawd.comms.rights import Rule, may
from clawd.config.session import Right
from clawd.errors import ClawdError, Invalid, NotFound, Refused
from clawd.ids import OPERATOR
from clawd.nearest import nearest

_REMEMBERED = 100_000
"""How many entries of views are remembered, of all viewers together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What others may know of a session, and how it may be reached.

    ``access`` is its own list of rules; ``creators`` the sessions that made it, nearest first.
    """

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
    access: Sequence[Rule] = ()
    creators: tuple[str, ...] = ()


class Directory:
    """The sessions that exist, by id."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._views: dict[str, list[Entry]] = {}
        self._viewed = 0

    def put(self, entry: Entry) -> Entry | None:
        """Add or change a session; what was there before."""
        before = self._entries.get(entry.id)
        self._entries[entry.id] = entry
        self._forget_views()
        return before

    def remove(self, session_id: str) -> None:
        """Forget a session."""
        self._entries.pop(session_id, None)
        self._forget_views()

    def get(self, session_id: str) -> Entry | None:
        """A session by id, whoever asks."""
        return self._entries.get(session_id)

    def all(self) -> list[Entry]:
        """Every session, in the order in which they came."""
        return list(self._entries.values())

    def may(self, viewer: str, entry: Entry, right: Right) -> bool:
        """Whether ``viewer`` has this right over ``entry``: every path asks this."""
        if viewer == OPERATOR:
            return True
        own = self._entries.get(viewer)
        return own is not None and own.a2a and viewer != entry.id and may(own, entry, right)

    def visible(self, viewer: str, entry: Entry) -> bool:
        """Whether ``viewer`` may see ``entry`` in any list, search, prompt or error text."""
        if viewer == OPERATOR:
            return True
        shown = entry.enabled and entry.a2a and not entry.hidden
        return shown and self.may(viewer, entry, "list")

    def find(
        self, viewer: str, capability: str | None = None, query: str | None = None
    ) -> list[Entry]:
        """The visible sessions that have the capability and all words of the query.

        A capability that ends in ``*`` matches by its beginning.
        """
        words = (query or "").casefold().split()
        return [
            entry
            for entry in self._view(viewer)
            if (not capability or _offers(entry, capability))
            and all(word in _text(entry) for word in words)
        ]

    def _view(self, viewer: str) -> list[Entry]:
        """All that ``viewer`` may see; remembered, for every prompt names them."""
        view = self._views.get(viewer)
        if view is None:
            view = [entry for entry in self._entries.values() if self.visible(viewer, entry)]
            if self._viewed + len(view) > _REMEMBERED:
                self._forget_views()
            self._views[viewer] = view
            self._viewed += len(view)
        return view

    def _forget_views(self) -> None:
        self._views.clear()
        self._viewed = 0

    def reach(self, sender: str, target: str, right: Right = "send") -> Entry:
        """The session that ``sender`` may write or delegate to; the error says why not.

        An unknown id, one of another organization and one that is closed to the sender get the
        same answer, unless the sender can see it; a hidden session is reached by its id.
        """
        if target == sender == OPERATOR:
            raise Invalid("self_send", "the operator is you, not a session", hint="name a session")
        if target == sender:
            raise Invalid(
                "self_send", "a session cannot send to itself", hint="name another session"
            )
        entry = self._entries.get(target)
        if entry is None or not self.may(sender, entry, right):
            raise self.closed(sender, target, right)
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

    def address(self, sender: str, target: str, right: Right) -> None:
        """Whether ``sender`` may write or delegate to a session, or to the operator."""
        if target != OPERATOR or sender == OPERATOR:
            self.reach(sender, target, right)

    def writable(self, sender: str, target: str) -> bool:
        """Whether a message of ``sender`` to this address would be taken."""
        try:
            self.address(sender, target, "send")
        except ClawdError:
            return False
        return True

    def require(self, viewer: str, target: str, right: Right) -> None:
        """Raise the error for a missing right; who is gone, and the operator, forbid nothing."""
        entry = self._entries.get(target)
        if entry is not None and not self.may(viewer, entry, right):
            raise self.closed(viewer, target, right)

    def check_creation(self, caller: Caller) -> None:
        """Whether all who led to this turn may have its session create others; ``Refused``."""
        senders = {m.from_ for m in caller.triggered_by if not m.from_daemon}
        for source in sorted(senders.union(caller.lineage.path) - {OPERATOR}):
            if caller.session != OPERATOR and not self.let(source, caller.session, "create"):
                named = f"{source!r}" if self.known(caller.session, source) else "a session"
                raise Refused(
                    "access_denied",
                    f"this turn goes back to {named} that may not have you create sessions",
                    hint="use the sessions that exist (list_agents), or ask your human",
                    right="create",
                )

    def readable(self, viewer: str, target: str) -> Entry:
        """The session whose outputs ``viewer`` may read; it must be visible as well."""
        entry = self._entries.get(target)
        seen = entry is not None and self.visible(viewer, entry)
        if entry is None or not seen or not self.may(viewer, entry, "read"):
            raise self.closed(viewer, target, "read")
        return entry

    def known(self, viewer: str, target: str) -> Entry | None:
        """The session, if ``viewer`` may know that it is there once it names the id."""
        entry = self._entries.get(target)
        if entry is None:
            return None
        rights: tuple[Right, ...] = ("send", "delegate")
        shown = viewer == target or self.visible(viewer, entry)
        return entry if shown or any(self.may(viewer, entry, r) for r in rights) else None

    def chain(self, viewer: str, names: Sequence[str]) -> str:
        """Sessions in a row, for an error: those that ``viewer`` may not know of are not named."""
        shown = (OPERATOR, viewer)
        return " -> ".join(
            name if name in shown or self.known(viewer, name) else _UNKNOWN for name in names
        )

    def let(self, sender: str, target: str, right: Right) -> bool:
        """Whether what ``sender`` sent while it could may now do this to ``target``.

        The last word of a sender that is gone counts like one of the target's own.
        """
        own, entry = self._entries.get(sender), self._entries.get(target)
        return entry is not None and (own is None or sender == target or may(own, entry, right))

    def closed(self, viewer: str, target: str, right: Right) -> NotFound | Refused:
        """The error for a missing right: a refusal by one it sees, else as if nobody were there."""
        entry = self._entries.get(target)
        if entry is None or not self.visible(viewer, entry):
            return self.unknown(viewer, target)
        return Refused(
            "access_denied",
            f"session {target!r} does not give you the right to {_WORDS[right]}",
            hint="choose another session, or ask your human (message the operator) for it",
            right=right,
        )

    def unknown(self, viewer: str, target: str) -> NotFound:
        """The error for an id that is not there, naming the nearest that the viewer may see."""
        seen = [entry.id for entry in self._view(viewer)]
        near = nearest(target, seen)
        named = ", ".join(seen[:_NAMED]) + (" …" if len(seen) > _NAMED else "")
        hint = f"did you mean {near!r}? " if near else ""
        shown = ascii(target[:80])
        return NotFound(
            "unknown_session",
            f"there is no session {shown}",
            hint=f"{hint}known: {named or 'none'}",
        )


_NAMED = 20
"""How many sessions an error names at most."""
_UNKNOWN = "(one that you do not know)"
_WORDS: dict[Right, str] = {
    "list": "see it",
    "read": "read its outputs",
    "send": "send to it",
    "wake": "wake it",
    "delegate": "give it tasks",
    "create": "have it create sessions",
}


def _offers(entry: Entry, capability: str) -> bool:
    wanted = capability.casefold()
    offered = [c.casefold() for c in entry.capabilities]
    if wanted.endswith("*"):
        return any(c.startswith(wanted[:-1]) for c in offered)
    return wanted in offered


def _text(entry: Entry) -> str:
    return " ".join((entry.id, entry.name, entry.description, *entry.capabilities)).casefold()
