"""Equal values of messages that are held: one object for all of them, where it costs little."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import force_setattr

from clawd.comms.models import SessionMessage

_REMEMBERED = 1_000


class Sharing:
    """Lets messages that are read from one mailbox, all to its owner, have their equal parts once.

    A decoder makes each text anew: of a message's 1.1 KB, a third is who wrote to whom, in which
    trace and on which path, the same in most that follow each other. Only what nobody could tell
    apart is exchanged, so that a frozen record stays the one it was.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._known: dict[Any, Any] = {}

    def of(self, messages: Iterable[SessionMessage]) -> None:
        """Exchange what is equal in these messages, and in those of earlier calls."""
        owner, known = self._owner, self._known
        if len(known) > _REMEMBERED:
            known.clear()
        sender = trace = ""
        path: tuple[str, ...] = ()
        for message in messages:
            force_setattr(message, "to", owner)
            # Most are from where the last one was from: that is cheaper to see than to look up.
            if message.from_ != sender:
                sender = known.setdefault(message.from_, message.from_)
            force_setattr(message, "from_", sender)
            if (lineage := message.lineage) is None:
                continue
            if lineage.trace != trace:
                trace = known.setdefault(lineage.trace, lineage.trace)
            force_setattr(lineage, "trace", trace)
            if lineage.path != path:
                path = known.setdefault(lineage.path, lineage.path)
            force_setattr(lineage, "path", path)
