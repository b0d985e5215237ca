"""What each trace has led to so far: counted as it happens, and from the logs after a start."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from clawd.comms.models import AsyncTask, SessionMessage
from clawd.lineage import Lineage
from clawd.messages import Usage

KEPT = 4_000
"""So many traces at least are at hand; the counts of older ones are made anew when needed."""

_CAUSE = 120

Stored = tuple[Iterable[SessionMessage], Iterable[AsyncTask]]


class Trace(msgspec.Struct):
    """The counts of one trace. ``usage`` is that of its turns which have ended.

    ``cause`` says in a few words what began it, ``session`` where; ``last`` when it last moved.
    ``pairs`` are messages by the two ends, both ways together; ``sessions`` are those that had a
    turn in it, unless it is not ``whole``, having been let go meanwhile.
    """

    id: str
    session: str = ""
    cause: str = ""
    by_line: bool = False
    whole: bool = True
    last: str = ""
    turns: int = 0
    messages: int = 0
    tasks: int = 0
    created: int = 0
    refused: int = 0
    pairs: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)
    sessions: tuple[str, ...] = ()
    usage: Usage | None = None

    def begun_by(self, session: str, cause: str) -> None:
        """Take this for the cause, if none is known."""
        if not self.cause:
            self.session, self.cause = session, " ".join(cause[: 2 * _CAUSE].split())[:_CAUSE]

    def seen(self, time: str) -> None:
        """It moved at this time."""
        self.last = max(self.last, time)


class Traces:
    """The traces by id. The oldest are let go, never their limits: see ``of``."""

    def __init__(self, stored: Callable[[str], Stored]) -> None:
        self._traces: dict[str, Trace] = {}
        self._stored = stored
        self._let_go = ""

    def find(self, trace: str) -> Trace | None:
        """A trace that is at hand."""
        return self._traces.get(trace)

    def recent(self) -> list[Trace]:
        """Those at hand, in the order in which they last moved."""
        return sorted(self._traces.values(), key=lambda trace: trace.last)

    def beginning_with(self, prefix: str) -> list[str]:
        """The ids at hand that begin so."""
        return [trace for trace in self._traces if trace.startswith(prefix)]

    def of(self, trace: str) -> Trace:
        """A trace's counts; those of one that was let go are made anew from what is stored.

        Then its turns are taken for as many as its messages and tasks can have started: never
        fewer than there were.
        """
        found = self._traces.get(trace)
        if found is not None:
            return found
        made = self._new(trace)
        if _age(trace) > self._let_go:
            return made
        made.whole = False
        messages, tasks = self._stored(trace)
        for message in messages:
            self.stored(message)
            made.turns += message.state != "stored"
        for task in tasks:
            self.delegated(task)
            made.turns += task.attempt
        return made

    def stored(self, message: SessionMessage, by: int = 1) -> None:
        """Count a message that is being stored, or was loaded; ``by`` -1: it is not, after all."""
        lineage = message.lineage
        trace = self._at_hand(lineage.trace) if lineage is not None else None
        if lineage is None or trace is None:
            return
        trace.messages += by
        if not message.from_daemon and message.type != "task_result":
            pair = _pair(message.from_, message.to)
            trace.pairs[pair] = max(0, trace.pairs.get(pair, 0) + by)
        trace.seen(message.timestamp)
        if lineage.hops == 1:
            trace.begun_by(message.to, f"{message.from_} → {message.to}: {message.content[:200]}")

    def exchanged(self, trace: str, one: str, other: str) -> int:
        """How many messages two sessions have exchanged, both ways together."""
        return self.of(trace).pairs.get(_pair(one, other), 0)

    def delegated(self, task: AsyncTask) -> None:
        """Count a task that was made, or loaded."""
        trace = self._at_hand(task.lineage.trace) if task.lineage is not None else None
        if task.lineage is None or trace is None:
            return
        trace.tasks += 1
        trace.seen(task.created_at)
        if task.lineage.hops == 1:
            text = f"task {task.from_session} → {task.to_session}: {task.task[:200]}"
            trace.begun_by(task.to_session, text)

    def begun(self, trace: str, session: str, time: str) -> None:
        """Count a turn that begins, or was loaded."""
        found = self._at_hand(trace)
        if found is None:
            return
        found.turns += 1
        found.seen(time)
        if session not in found.sessions:
            found.sessions = (*found.sessions, session)

    def cause(self, trace: str, session: str, text: str, time: str) -> None:
        """A line of the operator began it."""
        found = self._at_hand(trace)
        if found is not None and not found.by_line:
            found.cause, found.by_line = "", True
            found.begun_by(session, text)
            found.seen(time)

    def ended(self, trace: str, time: str, usage: Usage | None) -> None:
        """A turn has ended, with what its model calls used."""
        found = self._at_hand(trace)
        if found is None:
            return
        found.seen(time)
        if usage is not None:
            found.usage = usage if found.usage is None else found.usage + usage

    def created(self, lineage: Lineage, session: str, time: str) -> None:
        """Count a session that was made."""
        trace = self._at_hand(lineage.trace)
        if trace is None:
            return
        trace.created += 1
        trace.seen(time)
        if lineage.hops == 1:
            trace.begun_by(session, f"{lineage.path[-1] if lineage.path else ''} made {session}")

    def refused(self, trace: str, times: int = 1) -> None:
        """Count a refusal by a guard."""
        if trace in self._traces:
            self._traces[trace].refused += times

    def _at_hand(self, trace: str) -> Trace | None:
        """The counts, if they are to be kept: those of a trace that was let go are not."""
        found = self._traces.get(trace)
        if found is None and _age(trace) > self._let_go:
            found = self._new(trace)
        return found

    def _new(self, trace: str) -> Trace:
        if len(self._traces) >= 2 * KEPT:
            self._let_old_go()
        made = self._traces[trace] = Trace(trace)
        return made

    def _let_old_go(self) -> None:
        by_age = sorted(self._traces, key=_age)
        for trace in by_age[:-KEPT]:
            self._let_go = max(self._let_go, _age(trace))
            self._traces.pop(trace, None)


def _age(trace: str) -> str:
    """Ids sort by time behind their kind."""
    return trace.partition("-")[2] or trace


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)
