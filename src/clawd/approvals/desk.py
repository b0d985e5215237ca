"""Everything that waits for a human: kept on disk, decided once, and acted upon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import msgspec

from clawd.approvals.models import CLOSED, Approval, Record, Rule, State, blank
from clawd.config.patterns import read
from clawd.errors import NotFound, Refused, StorageError
from clawd.events import ApprovalRequested, ApprovalSettled, Event
from clawd.ids import OPERATOR, new_id, now, seconds_of
from clawd.messages import JSON
from clawd.storage.jsonl import Log
from clawd.storage.sealing import Sealing
from clawd.storage.writer import Writer

FILE_NAME = "approvals.jsonl"
KEPT = 1000
"""How many settled ones are remembered."""
_AGAIN_SECONDS = 3.0
"""A disk that has room again is noticed within five seconds."""

Kept = TypeVar("Kept", Approval, Rule)


class Clock(Protocol):
    """Calls back later."""

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> object:
        """Run ``what`` after so many seconds."""
        ...


class Desk:
    """The fold over ``state/approvals.jsonl``. What was decided never changes."""

    def __init__(
        self,
        path: Path,
        writer: Writer,
        clock: Clock,
        emit: Callable[[Event], object],
        sealing: Sealing | None = None,
    ) -> None:
        sealer = sealing.sealer(blank, lambda r: (r.session,), lenient=True) if sealing else None
        self._log = Log[Record](path, Record, writer, sealer=sealer)
        self._clock = clock
        self._emit = emit
        self._approvals: dict[str, Approval] = {}
        self._of_turn: dict[str, list[str]] = {}
        self._rules: dict[str, Rule] = {}
        self._go_on: Callable[[Approval], Awaitable[object]] | None = None

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words."""
        loaded = self._log.load()
        for record in loaded.records.values():
            self._put(record)
        return [str(problem) for problem in loaded.problems]

    def attach(self, go_on: Callable[[Approval], Awaitable[object]]) -> None:
        """``go_on`` lets the turn of a settled one go on; harmless where it does already."""
        self._go_on = go_on

    async def resume(self) -> None:
        """After a start: let time run on, and turns go on whose human spoke in between."""
        for approval in list(self._approvals.values()):
            if approval.state == "open":
                self._arm(approval)
            else:
                await self._follow(approval)

    def get(self, approval_id: str) -> Approval:
        """One by id; ``NotFound``."""
        found = self._approvals.get(approval_id)
        if found is None:
            raise NotFound(
                "unknown_approval",
                f"nothing waits under {approval_id[:80]!a}",
                hint="clawd approvals list shows what does",
            )
        return found

    def all(self) -> list[Approval]:
        """What waits, and what was settled lately, oldest first."""
        return list(self._approvals.values())

    def waiting(self, session: str | None = None) -> list[Approval]:
        """What waits for a human, oldest first."""
        return [a for a in self.all() if a.state == "open" and session in (None, a.session)]

    def of_call(self, turn: str, call: str) -> Approval | None:
        """What was asked for this call, the latest."""
        found = [a for a in self._asked_in(turn) if a.call == call]
        return found[-1] if found else None

    def question_of(self, task: str) -> Approval | None:
        """The question that a task waits for an answer to."""
        return next((a for a in self.waiting() if a.task == task and a.kind == "question"), None)

    def waits_in(self, turn: str) -> bool:
        """Whether a turn waits for a human."""
        return any(a.state == "open" for a in self._asked_in(turn))

    def waits_for_all(self, turn: str, calls: Iterable[str]) -> bool:
        """Whether the human has said nothing yet of any of these calls."""
        found = [self.of_call(turn, call) for call in calls]
        return all(a is not None and a.state == "open" for a in found)

    def undone(self, turn: str) -> set[str]:
        """The calls of a turn that were never begun: they may still be made."""
        return {a.call for a in self._asked_in(turn) if a.state != "used"}

    def _asked_in(self, turn: str) -> list[Approval]:
        return [self._approvals[i] for i in self._of_turn.get(turn, ())]

    async def ask(self, approval: Approval) -> Approval:
        """Put something to the human; durable when this returns."""
        try:
            approval = await self._store(approval)
        except asyncio.CancelledError:
            self._asked(approval)
            raise
        self._asked(approval)
        return approval

    async def settle(
        self, approval_id: str, state: State, *, by: str = OPERATOR, **fields: Any
    ) -> Approval:
        """Allow, deny, answer …; the first word counts, ``Refused`` for any later one."""
        approval = self.get(approval_id)
        if approval.state != "open":
            raise Refused(
                "already_decided",
                f"{approval.id} was {approval.state} by {approval.by} at {approval.decided_at}",
                hint="the turn has gone on with that",
            )
        after = msgspec.structs.replace(approval, state=state, by=by, decided_at=now(), **fields)
        # Taken at once, so that a second word that comes while this is written is refused.
        self._put(after)
        try:
            after = await self._store(after)
        except asyncio.CancelledError:
            self._clock.later(0, lambda: self._settled(after))
            raise
        except Exception:
            self._put(approval)
            raise
        await self._settled(after)
        return after

    async def use(self, approval: Approval) -> None:
        """The allowed call begins; from now on it is never made again."""
        try:
            await self._store(msgspec.structs.replace(approval, state="used"))
        except asyncio.CancelledError:
            self._put(approval)  # it has not begun: as long as that is known it may be made
            raise

    async def withdraw(self, *, turn: str | None = None, session: str | None = None) -> None:
        """Nobody needs the word any more: the turn was stopped, or its session is gone."""
        for approval in self.waiting(session):
            if turn in (None, approval.turn):
                await self.settle(approval.id, "withdrawn", by="clawd")
        for approval in self._asked_in(turn or ""):
            if approval.state == "allowed":  # and never begun
                await self._store(msgspec.structs.replace(approval, state="withdrawn"))

    async def dismiss(self, session: str) -> None:
        """A session is gone, and another may come under its name: nothing is left of it here."""
        await self.withdraw(session=session)
        for rule in [rule for rule in self.rules() if rule.session == session]:
            await self.forget(rule.id)

    # Standing rules.

    def rules(self) -> list[Rule]:
        """What the operator said always to allow, oldest first."""
        return [rule for rule in self._rules.values() if not rule.removed]

    def allowed_by(self, session: str, tool: str, given: JSON) -> Rule | None:
        """The standing rule that makes a yes needless."""
        for rule in self.rules():
            fits = rule.session == session and not rule.sealed
            if fits and read(rule.pattern).fits(tool, given, allows=True):
                return rule
        return None

    async def always(self, approval: Approval, pattern: str) -> Rule:
        """From now on calls like this one need no yes."""
        rule = Rule(
            id=new_id("rule"),
            session=approval.session,
            pattern=pattern,
            created_at=now(),
            approval=approval.id,
        )
        await self._store(rule)
        return rule

    async def forget(self, rule_id: str) -> Rule:
        """Take a standing rule back; ``NotFound``."""
        rule = self._rules.get(rule_id)
        if rule is None or rule.removed:
            raise NotFound(
                "unknown_rule",
                f"there is no rule {rule_id[:80]!a}",
                hint="clawd approvals rules shows them",
            )
        gone = msgspec.structs.replace(rule, removed=True)
        await self._store(gone)
        return gone

    async def sweep(self) -> None:
        """Forget the oldest of what was settled; the file follows."""
        closed = [a.id for a in self.all() if a.state in CLOSED]
        for approval_id in closed[:-KEPT]:
            turn = self._approvals.pop(approval_id).turn
            self._of_turn[turn].remove(approval_id)
            if not self._of_turn[turn]:
                del self._of_turn[turn]
        for rule_id in [r.id for r in self._rules.values() if r.removed]:
            del self._rules[rule_id]
        kept = {*self._approvals, *self._rules}
        if self._log.wasteful(len(kept)):
            await self._log.compact(kept.__contains__)

    async def _store(self, record: Kept) -> Kept:
        try:
            (stored,) = await self._log.append(record)
        except asyncio.CancelledError:
            # The line is on its way to the disk all the same: memory must not know less.
            self._put(record)
            raise
        self._put(stored)
        return cast("Kept", stored)

    def _put(self, record: Record) -> None:
        if isinstance(record, Rule):
            self._rules[record.id] = record
        else:
            if record.id not in self._approvals:
                self._of_turn.setdefault(record.turn, []).append(record.id)
            self._approvals[record.id] = record

    def _arm(self, approval: Approval) -> None:
        left = seconds_of(approval.expires_at) - seconds_of(now())
        self._clock.later(max(0.0, left), lambda: self._expire(approval.id))

    async def _expire(self, approval_id: str) -> None:
        approval = self._approvals.get(approval_id)
        if approval is None or approval.state != "open":
            return
        if seconds_of(approval.expires_at) > seconds_of(now()):
            self._arm(approval)  # the clock was set back
            return
        try:
            await self.settle(approval_id, "expired", by="clawd")
        except StorageError:
            self._clock.later(_AGAIN_SECONDS, lambda: self._expire(approval_id))

    def _asked(self, approval: Approval) -> None:
        self._emit(
            ApprovalRequested(
                session=approval.session,
                trace=approval.trace,
                run_id=approval.turn,
                approval=approval,
            )
        )
        self._arm(approval)

    async def _settled(self, approval: Approval) -> None:
        self._emit(
            ApprovalSettled(
                session=approval.session,
                trace=approval.trace,
                run_id=approval.turn,
                approval=approval,
            )
        )
        await self._follow(approval)

    async def _follow(self, approval: Approval) -> None:
        if self._go_on is not None and approval.state not in ("used", "withdrawn"):
            await self._go_on(approval)


def by_state(approvals: Iterable[Approval], state: str | None) -> list[Approval]:
    """Those in this state, or all."""
    return [a for a in approvals if state in (None, a.state)]
