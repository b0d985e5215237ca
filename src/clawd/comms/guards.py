"""The bounds on autonomous work: one place, one error shape, none silent.

Counts follow the causal chain (the trace), not the pair alone. No word in a message can trigger
or lift a guard: they read nothing but the daemon's own lineage.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from clawd.comms.models import SessionMessage
from clawd.config.schema import Limits
from clawd.errors import GuardRefused
from clawd.events import Event, Notice
from clawd.ids import OPERATOR
from clawd.lineage import Lineage

_TRACES = 10_000


class Guards:
    """Refuses what would go past a limit, and tells the operator so."""

    def __init__(self, limits: Callable[[str], Limits], emit: Callable[[Event], object]) -> None:
        self._limits = limits
        self._emit = emit
        self._pairs: OrderedDict[str, Counter[frozenset[str]]] = OrderedDict()
        self._sends: dict[str, deque[float]] = {}
        self._turns: OrderedDict[str, int] = OrderedDict()
        self._autonomous: dict[str, deque[float]] = {}

    def count(self, message: SessionMessage) -> None:
        """Remember a message that is being stored, or was loaded from a file."""
        if message.lineage is None or message.from_daemon or message.type == "task_result":
            return
        pairs = self._pairs.setdefault(message.lineage.trace, Counter())
        pairs[frozenset((message.from_, message.to))] += 1
        self._pairs.move_to_end(message.lineage.trace)
        while len(self._pairs) > _TRACES:
            self._pairs.popitem(last=False)

    def discount(self, message: SessionMessage) -> None:
        """The message was not stored after all."""
        if message.lineage is None or message.from_daemon or message.type == "task_result":
            return
        pairs = self._pairs.get(message.lineage.trace, Counter())
        pairs[frozenset((message.from_, message.to))] -= 1

    def message(self, lineage: Lineage, sender: str, target: str) -> None:
        """May this message be sent? ``lineage`` is the one that it would carry."""
        self._hops(lineage, sender)
        limit = self._limits(sender).max_messages_per_pair
        sent = self._pairs.get(lineage.trace, Counter())[frozenset((sender, target))]
        if sent >= limit and sender != OPERATOR:
            raise self._refused(
                sender,
                lineage,
                "messages_per_pair",
                f"{sender} and {target} have exchanged {sent} messages in this trace",
                limit,
                sent,
                f"trace {lineage.trace}",
                "end your turn; a new line of the operator opens a new trace",
            )

    def rate(self, lineage: Lineage, sender: str) -> None:
        """May this session send once more within the minute? A broadcast counts as one."""
        if sender == OPERATOR:
            return
        limit = self._limits(sender).sends_per_minute
        used = _recent(self._sends, sender, 60.0)
        if len(used) >= limit:
            raise self._refused(
                sender,
                lineage,
                "sends_per_minute",
                f"{sender} sent {len(used)} messages within a minute",
                limit,
                len(used),
                f"session {sender}",
                "say more in one message, or use broadcast_message",
            )
        used.append(time.monotonic())

    def turn(self, lineage: Lineage, session: str, *, own: bool) -> None:
        """May this turn start? Counted when it may; ``own`` is one that the operator asked for."""
        limits = self._limits(session)
        begun = self._turns.get(lineage.trace, 0)
        if begun >= limits.max_turns_per_trace and not own:
            raise self._refused(
                session,
                lineage,
                "turns_per_trace",
                f"this trace has led to {begun} turns",
                limits.max_turns_per_trace,
                begun,
                f"trace {lineage.trace}",
                "a new line of the operator opens a new trace",
            )
        used = _recent(self._autonomous, session, 3600.0)
        if len(used) >= limits.max_autonomous_turns_per_hour and not own:
            raise self._refused(
                session,
                lineage,
                "autonomous_turns_per_hour",
                f"{session} began {len(used)} turns within an hour that no human asked for",
                limits.max_autonomous_turns_per_hour,
                len(used),
                f"session {session}",
                "requeue the message later, or raise limits.maxAutonomousTurnsPerHour",
            )
        self._turns[lineage.trace] = begun + 1
        self._turns.move_to_end(lineage.trace)
        while len(self._turns) > _TRACES:
            self._turns.popitem(last=False)
        if not own:
            used.append(time.monotonic())

    def task(
        self, lineage: Lineage, creator: str, target: str, created: int, assigned: int
    ) -> None:
        """May this delegation be made? ``lineage.tasks`` is the chain so far, creator last."""
        self._hops(lineage, creator)
        limits = self._limits(creator)
        chain = " -> ".join((*lineage.tasks, target))
        if target in lineage.tasks:
            raise self._refused(
                creator,
                lineage,
                "delegation_cycle",
                f"the delegation would close a circle: {chain}",
                0,
                1,
                f"trace {lineage.trace}",
                "do it yourself, or delegate to a session outside the chain",
            )
        if len(lineage.tasks) > limits.max_task_depth:
            raise self._refused(
                creator,
                lineage,
                "task_depth",
                f"the chain of delegations is too deep: {chain}",
                limits.max_task_depth,
                len(lineage.tasks),
                f"trace {lineage.trace}",
                "do this part yourself",
            )
        if created >= limits.max_tasks_created and creator != OPERATOR:
            raise self._refused(
                creator,
                lineage,
                "tasks_created",
                f"{creator} has {created} open tasks",
                limits.max_tasks_created,
                created,
                f"session {creator}",
                "wait for results, or cancel some",
            )
        most = self._limits(target).max_tasks_assigned
        if assigned >= most:
            raise self._refused(
                creator,
                lineage,
                "tasks_assigned",
                f"{target} has {assigned} open tasks",
                most,
                assigned,
                f"session {target}",
                "choose another session, or wait",
            )

    def creation(self, lineage: Lineage, creator: str, depth: int, alive: int, recent: int) -> None:
        """May this session create another? ``depth`` is the one that the new one would have.

        ``alive`` are made by any session; ``recent`` by this one within an hour.
        """
        self._hops(lineage, creator)
        if creator == OPERATOR:
            return
        limits = self._limits(creator)
        for code, limit, value, text in (
            (
                "sessions_alive",
                limits.max_sessions_alive,
                alive,
                f"{alive} sessions made by sessions are alive",
            ),
            (
                "session_depth",
                limits.max_session_depth,
                depth - 1,
                "sessions that create sessions are nested too deep",
            ),
            (
                "sessions_per_hour",
                limits.max_sessions_per_hour,
                recent,
                f"{creator} created {recent} within an hour",
            ),
        ):
            if value >= limit:
                raise self._refused(
                    creator,
                    lineage,
                    code,
                    text,
                    limit,
                    value,
                    f"session {creator}",
                    "use the sessions that exist (list_agents)",
                )

    def _hops(self, lineage: Lineage, session: str) -> None:
        limit = self._limits(session).max_hops
        if lineage.hops > limit:
            path = " -> ".join(lineage.path[-6:])
            raise self._refused(
                session,
                lineage,
                "hops",
                f"this trace went through {lineage.hops} hops (… {path})",
                limit,
                lineage.hops,
                f"trace {lineage.trace}",
                "end your turn; the operator has been told",
            )

    def _refused(
        self,
        session: str,
        lineage: Lineage,
        code: str,
        text: str,
        limit: int,
        value: int,
        scope: str,
        hint: str,
    ) -> GuardRefused:
        message = f"{text}; the limit is {limit}" if limit else text
        error = GuardRefused(
            f"guard_{code}", message, limit=limit, value=value, scope=scope, hint=hint
        )
        self._emit(
            Notice(
                session=session, trace=lineage.trace, code=error.code, text=message, level="warning"
            )
        )
        return error


def _recent(times: dict[str, deque[float]], session: str, seconds: float) -> deque[float]:
    used = times.setdefault(session, deque())
    while used and used[0] < time.monotonic() - seconds:
        used.popleft()
    return used
