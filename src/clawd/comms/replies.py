"""What a message answers: the one that is named, or the one that its sender was asked."""

from __future__ import annotations

from collections.abc import Callable

from clawd.comms.caller import Caller
from clawd.comms.models import SessionMessage
from clawd.comms.waits import Waits
from clawd.errors import Invalid

Find = Callable[[str], SessionMessage | None]


def answered_by(
    find: Find, waits: Waits, caller: Caller, to: str, named: str | None
) -> SessionMessage | None:
    """What a message answers: the one of this id, or what the caller was asked.

    ``Invalid`` for one that the two have not exchanged.
    """
    return _named(find, caller, to, named) if named else _question(find, waits, caller, to)


def _named(find: Find, caller: Caller, to: str, message_id: str) -> SessionMessage:
    message = find(message_id)
    ends = {caller.session, to}
    if message is None or {message.from_, message.to} != ends:
        raise Invalid(
            "invalid_reply",
            f"{message_id[:80]!a} is no message between {caller.session} and {to}",
            hint="leave replyTo out, or name a message that the two have exchanged",
        )
    return message


def _question(find: Find, waits: Waits, caller: Caller, to: str) -> SessionMessage | None:
    asked = [m for m in caller.triggered_by if m.from_ == to and not m.from_daemon]
    open_ones = [m for m in asked if waits.free(m.id)]
    shown = find(waits.shown(to, caller.session) or "")
    candidates = open_ones or ([shown] if shown else asked)
    return candidates[-1] if candidates else None
