"""The turns of one session, counted for the guards and the traces: as they happen, and loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from clawd.comms.manager import SessionCommsManager
from clawd.comms.traces import Traces
from clawd.ids import OPERATOR
from clawd.sessions.records import OPEN, TurnRecord
from clawd.sessions.registry import Registry


def count_created(registry: Registry, traces: Traces) -> None:
    """Count the sessions that were made at run time, each in the trace that it came from."""
    for record in registry.created():
        if record.lineage is not None:
            traces.created(record.lineage, record.id, record.time)


class TurnCounts:
    """Follows the states of a session's turns; each turn is counted once."""

    def __init__(self, session: str, comms: SessionCommsManager) -> None:
        self._session = session
        self._comms = comms
        self._loading = False
        self._clock = 0.0

    @contextmanager
    def loading(self) -> Iterator[None]:
        """What is told meanwhile is read from a file, and does not happen now."""
        self._loading, self._clock = True, time.time()
        try:
            yield
        finally:
            self._loading = False

    def __call__(self, turn: TurnRecord) -> None:
        """A turn has come to this state."""
        traces, guards = self._comms.traces, self._comms.guards
        trace, is_open = turn.lineage.trace, turn.status in OPEN
        if self._loading and (turn.attempt or turn.started_at):
            traces.begun(trace, self._session, turn.time)
            if not turn.own and turn.started_at:
                guards.autonomous.restore(self._session, turn.started_at, self._clock)
            if is_open:
                guards.turn_known(turn.id)
        scheduled = turn.trigger.kind == "schedule"
        if scheduled or (turn.trigger.kind == "user" and turn.trigger.source == OPERATOR):
            # What a schedule says stands below the head that the daemon wrote.
            text = turn.trigger.text.partition("\n")[2] if scheduled else turn.trigger.text
            traces.cause(trace, self._session, text[:200], turn.time)
        if not is_open:
            guards.turn_over(turn.id)
            traces.ended(trace, turn.time, turn.usage)
