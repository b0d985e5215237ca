"""After a start: the counts of the guards, made anew from the logs."""

from __future__ import annotations

import time
from collections.abc import Iterable

from clawd.comms.guards import Guards
from clawd.comms.models import SessionMessage
from clawd.comms.traces import Traces
from clawd.ids import OPERATOR, follow, timestamp

_LATELY = 60.0


def restore_messages(messages: Iterable[SessionMessage], traces: Traces, guards: Guards) -> None:
    """Count the messages of a mailbox, and what was sent within the last minute.

    Ids that are made from now on sort after theirs.
    """
    messages = list(messages)
    follow(message.id for message in messages)
    clock = time.time()
    since = timestamp(clock - _LATELY)
    said: set[tuple[str, str, str]] = set()
    # The newest first: once there are too many traces, what is older is passed over.
    for message in reversed(messages):
        traces.stored(message)
        if message.timestamp <= since or message.type in ("task_result", "notice"):
            continue
        # What one turn said to several is taken for a broadcast, which is one send.
        parent = message.lineage.parent if message.lineage else message.id
        key = (message.from_, parent, message.content)
        if message.from_ != OPERATOR and key not in said:
            said.add(key)
            guards.sends.restore(message.from_, message.timestamp, clock)
