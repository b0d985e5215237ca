"""What a turn has read from outside before it runs: what started it, and what it read so far."""

from __future__ import annotations

from collections.abc import Iterable

from clawd.agent.trust import Trust
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.lineage import from_outside
from clawd.sessions.records import TurnRecord


def trust_of(
    turn: TurnRecord, messages: Iterable[SessionMessage], task: AsyncTask | None, *, read: bool
) -> Trust:
    """Whom a turn may trust, by its messages and its task; ``read``: it was marked already."""
    trust = Trust()
    if from_outside(turn.lineage):
        trust.mark(f"what started it ({turn.trigger.source or turn.trigger.kind})")
    for message in messages:
        if from_outside(message.lineage):
            trust.mark(f"message {message.id} from {message.from_}")
    if task is not None and from_outside(task.lineage):
        # Its own lineage may be clean, and what it depends on not.
        trust.mark(f"task {task.id}")
    if read:
        trust.mark("what it read before it stood still")
    return trust
