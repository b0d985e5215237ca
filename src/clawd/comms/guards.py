"""The bounds on autonomous work: one place, one error shape, none silent.

Counts follow the causal chain (the trace), not the pair alone. No word in a message can trigger
or lift a guard: they read nothing but the daemon's own lineage. What a single turn may do with
its tools is bounded where the turn is, in `clawd.agent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clawd.comms.refusals import Refusals, in_a_row
from clawd.comms.traces import Traces
from clawd.comms.windows import Window
from clawd.config.schema import Limits
from clawd.events import Event
from clawd.ids import OPERATOR, now
from clawd.lineage import Lineage


class Guards:
    """Refuses what would go past a limit, and tells the operator so.

    In every refusal ``value`` is how much there is already; for a size it is the size. ``chain``
    names sessions in a row as the one who is refused may know them.
    """

    def __init__(
        self,
        limits: Callable[[str], Limits],
        emit: Callable[[Event], object],
        traces: Traces,
        chain: Callable[[str, Sequence[str]], str] = in_a_row,
    ) -> None:
        self._limits = limits
        self._chain = chain
        self._traces = traces
        self._refusals = Refusals(emit, traces)
        self.sends = Window(60.0)
        """What each session sent within the minute."""
        self.autonomous = Window(3600.0)
        """The turns of each session within the hour that no human asked for."""
        self._open: set[str] = set()

    def message(self, lineage: Lineage, sender: str, target: str) -> None:
        """May this message be sent? ``lineage`` is the one that it would carry."""
        limits = self._limits(sender)
        self._hops(lineage, sender, limits)
        limit = limits.max_messages_per_pair
        sent = self._traces.exchanged(lineage.trace, sender, target)
        if sent >= limit and sender != OPERATOR:
            raise self._refusals.of(
                sender,
                lineage,
                "guard_messages_per_pair",
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
        used = self.sends.count(sender)
        if used >= limit:
            raise self._refusals.of(
                sender,
                lineage,
                "guard_sends_per_minute",
                f"{sender} sent {used} messages within a minute",
                limit,
                used,
                f"session {sender}",
                "say more in one message, or use broadcast_message",
            )
        self.sends.add(sender)

    def size(self, lineage: Lineage, sender: str, what: str, size: int, limit: int) -> None:
        """May a message, a task or a context have so many bytes?"""
        if size > limit:
            raise self._refusals.of(
                sender,
                lineage,
                "too_large",
                f"the {what} has {size} bytes",
                limit,
                size,
                f"one {what}",
                "send less, or a file's path",
            )

    def room(self, lineage: Lineage, sender: str, target: str, unread: int) -> None:
        """May the target have one more unread message?"""
        limit = self._limits(target).max_unread
        if unread >= limit:
            raise self._refusals.of(
                sender,
                lineage,
                "mailbox_full",
                f"{target} has {unread} unread messages",
                limit,
                unread,
                f"session {target}",
                "end your turn; send again when it has read some",
            )

    def turn(self, turn: str, lineage: Lineage, session: str, *, own: bool) -> None:
        """May this turn start? Counted, once, when it may; ``own``: the operator asked for it."""
        if turn in self._open:
            return
        limits = self._limits(session)
        begun = self._traces.of(lineage.trace).turns
        if begun >= limits.max_turns_per_trace and not own:
            raise self._refusals.of(
                session,
                lineage,
                "guard_turns_per_trace",
                f"this trace has led to {begun} turns",
                limits.max_turns_per_trace,
                begun,
                f"trace {lineage.trace}",
                "a new line of the operator opens a new trace",
            )
        used = self.autonomous.count(session)
        if used >= limits.max_autonomous_turns_per_hour and not own:
            raise self._refusals.of(
                session,
                lineage,
                "guard_autonomous_turns_per_hour",
                f"{session} began {used} turns within an hour that no human asked for",
                limits.max_autonomous_turns_per_hour,
                used,
                f"session {session}",
                "requeue the message later, or raise limits.maxAutonomousTurnsPerHour",
            )
        self._open.add(turn)
        self._traces.begun(lineage.trace, session, now())
        if not own:
            self.autonomous.add(session)

    def turn_over(self, turn: str) -> None:
        """The turn has ended: it will not ask again."""
        self._open.discard(turn)

    def turn_known(self, turn: str) -> None:
        """A turn from a log, which has been counted and goes on."""
        self._open.add(turn)

    def task(
        self, lineage: Lineage, creator: str, target: str, created: int, assigned: int
    ) -> None:
        """May this delegation be made? ``lineage.tasks`` is the chain so far, creator last."""
        limits = self._limits(creator)
        self._hops(lineage, creator, limits)
        chain = self._chain(creator, (*lineage.tasks, target))
        trace = f"trace {lineage.trace}"
        if target in lineage.tasks:
            raise self._refusals.of(
                creator,
                lineage,
                "guard_delegation_cycle",
                f"the delegation would close a circle: {chain}",
                0,
                1,
                trace,
                "do it yourself, or delegate to a session outside the chain",
            )
        depth = len(lineage.tasks) - 1
        if depth >= limits.max_task_depth:
            raise self._refusals.of(
                creator,
                lineage,
                "guard_task_depth",
                f"the chain of delegations is too deep: {chain}",
                limits.max_task_depth,
                depth,
                trace,
                "do this part yourself",
            )
        if created >= limits.max_tasks_created and creator != OPERATOR:
            raise self._refusals.of(
                creator,
                lineage,
                "guard_tasks_created",
                f"{creator} has {created} open tasks",
                limits.max_tasks_created,
                created,
                f"session {creator}",
                "wait for results, or cancel some",
            )
        most = self._limits(target).max_tasks_assigned
        if assigned >= most:
            raise self._refusals.of(
                creator,
                lineage,
                "guard_tasks_assigned",
                f"{target} has {assigned} open tasks",
                most,
                assigned,
                f"session {target}",
                "choose another session, or wait",
            )

    def creation(self, lineage: Lineage, creator: str, depth: int, alive: int, recent: int) -> None:
        """May this session create another? ``depth`` is how deep it is nested itself.

        ``alive`` are made by any session; ``recent`` by this one within an hour.
        """
        limits = self._limits(creator)
        self._hops(lineage, creator, limits)
        if creator == OPERATOR:
            return
        for code, limit, value, text, scope in (
            (
                "guard_sessions_alive",
                limits.max_sessions_alive,
                alive,
                f"{alive} sessions made by sessions are alive",
                "all sessions made by sessions",
            ),
            (
                "guard_session_depth",
                limits.max_session_depth,
                depth,
                f"{creator} is at depth {depth} of sessions that create sessions",
                f"session {creator}",
            ),
            (
                "guard_sessions_per_hour",
                limits.max_sessions_per_hour,
                recent,
                f"{creator} created {recent} sessions within an hour",
                f"session {creator}",
            ),
        ):
            if value >= limit:
                hint = "use the sessions that exist (list_agents)"
                raise self._refusals.of(creator, lineage, code, text, limit, value, scope, hint)

    def _hops(self, lineage: Lineage, session: str, limits: Limits) -> None:
        limit = limits.max_hops
        so_far = lineage.hops - 1
        if so_far >= limit:
            path = self._chain(session, lineage.path[-6:])
            raise self._refusals.of(
                session,
                lineage,
                "guard_hops",
                f"this trace went through {so_far} hops (… {path})",
                limit,
                so_far,
                f"trace {lineage.trace}",
                "end your turn; the operator has been told",
            )
