"""Runs: begun once for each due time, settled when their turns have ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from clawd.config.schema import Limits
from clawd.errors import ClawdError, StorageError
from clawd.events import Event, Notice
from clawd.ids import OPERATOR, new_id, now, seconds_of, timestamp
from clawd.lineage import Lineage, begin
from clawd.tools.schedule.book import Book
from clawd.tools.schedule.planning import FAILURES, believed, following, held_off, is_missed
from clawd.tools.schedule.ports import End, Inbox, Turns
from clawd.tools.schedule.records import Result, Run, Schedule
from clawd.tools.schedule.wording import says_nothing, spoken

AGAIN_SECONDS = 30.0
"""How long what cannot begin waits: its session is parked, or the disk is full."""
_ERROR = 300


class Runs:
    """Begins and settles the runs of schedules; whoever calls it holds the book's lock.

    A run is stored before its turn is. After a crash between the two the transcript does not know
    the turn, which is then begun; where it knows it, nothing is begun again.
    """

    def __init__(
        self,
        turns: Turns,
        inbox: Inbox,
        limits: Callable[[str], Limits],
        emit: Callable[[Event], object],
        clock: Callable[[], float],
    ) -> None:
        self._turns = turns
        self._inbox = inbox
        self._limits = limits
        self._emit = emit
        self._clock = clock

    async def serve(self, book: Book, schedule: Schedule) -> float | None:
        """Do for a schedule what is due now; in how many seconds to look again, if at a time."""
        if schedule.open is not None and not await self._closed(book, schedule, schedule.open):
            return None if schedule.open.turn in book.begun else AGAIN_SECONDS
        schedule = book.find(schedule.id) or schedule
        if not goes(book, schedule) or not schedule.next or not self._is_due(schedule):
            return None
        standing = self._turns.standing(book.session)
        if schedule.missed == "skip" and (standing == "paused" or is_missed(schedule, self._now)):
            await self._skip(book, schedule)
            return None
        if standing == "failed":
            return AGAIN_SECONDS
        await self.fire(book, schedule)
        return None

    async def fire(self, book: Book, schedule: Schedule, *, manual: bool = False) -> Run:
        """Begin a run: for its due time, or on the operator's word without touching that."""
        at = self._now
        due = timestamp(at) if manual else schedule.next
        run = Run(due, new_id("turn"), manual=manual)
        fired = schedule if manual else msgspec.structs.replace(schedule, fired=due)
        changed = msgspec.structs.replace(
            fired,
            time=now(),
            open=run,
            runs=schedule.runs + 1,
            next=schedule.next if manual else following(self._paced(fired), at),
            quiet=schedule.quiet if manual else self._paced(fired).quiet,
        )
        await book.put(changed)
        await self._begin(book, changed, run)
        return run

    async def settle(self, book: Book, schedule: Schedule, run: Run, end: End) -> None:
        """The turn of a run has ended."""
        result, error = _result(end)
        changed: dict[str, Any] = {}
        if result == "ok" and self._has_news(schedule, end.text):
            try:
                lineage = self._lineage(schedule, run)
                said = await self._inbox.tell(book.session, run.turn, lineage, end.text)
                changed["message"] = said
            except StorageError:
                raise
            except ClawdError as refused:
                result, error = "failed", f"its message was not taken: {refused.message}"
        failures = schedule.failures if result == "cancelled" else 0
        if result in ("failed", "unknown"):
            failures = schedule.failures + 1
        last = Run(run.due, run.turn, result, now(), error[:_ERROR], run.manual)
        ended = msgspec.structs.replace(
            schedule, time=now(), open=None, last=last, failures=failures, **changed
        )
        await book.put(self._after(book, ended))
        book.begun.discard(run.turn)
        await book.tidy()

    async def recover(self, book: Book) -> None:
        """After a start: settle the runs whose turns have ended, begin those never begun."""
        found = [(schedule, believed(schedule, self._now)) for schedule in book.all()]
        await book.put(*(right for schedule, right in found if right is not schedule))
        for schedule in book.all():
            if schedule.open is not None:
                await self._closed(book, schedule, schedule.open)

    @property
    def _now(self) -> float:
        return self._clock()

    async def _closed(self, book: Book, schedule: Schedule, run: Run) -> bool:
        """Whether the open run is settled now; one whose turn nobody knows is begun."""
        if self._turns.standing(book.session) == "failed":
            return False
        if self._turns.is_open(book.session, run.turn):
            book.begun.add(run.turn)
            return False
        end = await self._turns.ended(book.session, run.turn)
        if end is None:
            await self._begin(book, schedule, run)
            return False
        await self.settle(book, schedule, run, end)
        return True

    async def _begin(self, book: Book, schedule: Schedule, run: Run) -> None:
        late = not run.manual and is_missed(
            msgspec.structs.replace(schedule, next=run.due), self._now
        )
        text = spoken(book.session, schedule, run, late=late)
        lineage = self._lineage(schedule, run)
        try:
            await self._turns.begin(book.session, run.turn, schedule.id, text, lineage)
        except ClawdError as refused:
            # It is stored as open: whoever looks next begins it.
            self._tell(book, schedule, f"waits to begin: {refused.message}")
            return
        book.begun.add(run.turn)

    async def _skip(self, book: Book, schedule: Schedule) -> None:
        passed = msgspec.structs.replace(schedule, fired=schedule.next)
        await book.put(
            msgspec.structs.replace(
                passed,
                time=now(),
                next=following(passed, self._now),
                skipped=schedule.skipped + 1,
            )
        )

    def _after(self, book: Book, schedule: Schedule) -> Schedule:
        """The schedule with its next time after a run, held off or paused where runs fail."""
        at, last = self._now, schedule.last
        if last is not None and last.result in ("failed", "unknown"):
            if schedule.failures >= FAILURES and schedule.next:
                reason = f"paused after {schedule.failures} failed runs in a row"
                text = f"is {reason}: {last.error}; clawd schedules resume {schedule.id} goes on"
                self._tell(book, schedule, text)
                return msgspec.structs.replace(schedule, paused=True, reason=reason)
            if not schedule.next:
                again = f"clawd schedules run {schedule.id} does it again"
                self._tell(book, schedule, f"failed: {last.error}; {again}")
            elif not schedule.when.once:
                least = self._limits(book.session).min_schedule_seconds
                return msgspec.structs.replace(schedule, next=held_off(schedule, at, least))
        if schedule.next and not schedule.when.once and self._is_due(schedule):
            # Times that came while the run was open are covered by it.
            later = following(schedule, at)
            return msgspec.structs.replace(schedule, next=later, skipped=schedule.skipped + 1)
        return schedule

    def _paced(self, schedule: Schedule) -> Schedule:
        """The schedule with its pace halved once more, or its own, as its mail is read."""
        if not schedule.heartbeat:
            return schedule
        unread = bool(schedule.message) and self._inbox.unread(schedule.message)
        return msgspec.structs.replace(schedule, quiet=schedule.quiet + 1 if unread else 0)

    def _has_news(self, schedule: Schedule, text: str) -> bool:
        """Whether the operator is to have this final text: a heartbeat's that says it first."""
        if not schedule.heartbeat or says_nothing(text):
            return False
        return not (schedule.message and self._inbox.says(schedule.message, text))

    def _is_due(self, schedule: Schedule) -> bool:
        return seconds_of(schedule.next) <= self._now

    def _lineage(self, schedule: Schedule, run: Run) -> Lineage:
        """A cause of its own for each run; one on the operator's word is the operator's."""
        cause = begin("operator" if run.manual else schedule.origin, schedule.budget)
        if schedule.untrusted:
            cause = msgspec.structs.replace(cause, untrusted=True)
        return cause.step(schedule.id, OPERATOR) if run.manual else cause

    def _tell(self, book: Book, schedule: Schedule, text: str) -> None:
        text = f"schedule {schedule.id} of {book.session} {text}"
        self._emit(Notice(session=book.session, code="schedule", text=text, level="warning"))


def looked_at(book: Book, schedule_id: str, at: float, again: float | None) -> float | None:
    """When to look at a schedule: in ``again`` seconds, or as it needs; ``None``: not by itself."""
    schedule = book.find(schedule_id)
    if schedule is None:
        return None
    if again is not None:
        return at + again
    if schedule.open is not None:
        return None if schedule.open.turn in book.begun else at + AGAIN_SECONDS
    return seconds_of(schedule.next) if schedule.next and goes(book, schedule) else None


def goes(book: Book, schedule: Schedule) -> bool:
    """Whether a schedule is in force: not paused, and with ``tools.schedule`` when self-made."""
    if schedule.paused:
        return False
    entry = next((e for e in book.place.settings.schedules if e.id == schedule.id), None)
    if schedule.configured:
        return entry is not None and entry.enabled
    return schedule.created_by == OPERATOR or book.place.settings.tools.schedule


def _result(end: End) -> tuple[Result, str]:
    error = end.error or {}
    said = str(error.get("message") or error.get("error") or "")
    if end.status == "finished":
        return "ok", ""
    if end.status == "cancelled" or error.get("error") == "cancelled":
        return "cancelled", said
    return ("unknown" if error.get("error") == "attempts" else "failed"), said
