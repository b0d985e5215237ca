"""Making, changing and deleting schedules, and what may not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from clawd.config.schedules import MADE, MAX_TEXT, Missed, ScheduleEntry
from clawd.config.schema import Limits
from clawd.errors import GuardRefused, Invalid, Refused
from clawd.ids import OPERATOR, new_id, now, seconds_of
from clawd.lineage import Lineage
from clawd.timing.recurrence import When, next_after, read_when
from clawd.tools.schedule.book import Book
from clawd.tools.schedule.planning import first, following
from clawd.tools.schedule.records import CONFIG, Schedule

KEPT = 50
"""How many that are done a session keeps to look at."""
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a schedule, as it was written; ``None`` is what is left out."""

    text: str | None = None
    once: str | None = None
    every: str | None = None
    cron: str | None = None
    zone: str | None = None
    missed: str | None = None
    heartbeat: bool | None = None
    paused: bool | None = None

    @property
    def retimes(self) -> bool:
        """Whether it says anew when the schedule is due."""
        return any(text is not None for text in (self.once, self.every, self.cron, self.zone))


class Changes:
    """What the operator and sessions do to schedules; whoever calls it holds the book's lock."""

    def __init__(self, limits: Callable[[str], Limits], clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock

    async def create(self, book: Book, wish: Wish, by: str, lineage: Lineage) -> Schedule:
        """A new schedule, made by a session or the operator; durable when this returns."""
        book.check()
        limits = self._limits(book.session)
        there = [s for s in book.all() if not s.configured]
        live = sum(s.state != "done" for s in there)
        if live >= limits.max_schedules:
            raise GuardRefused(
                "guard_schedules",
                f"{book.session} has {live} schedules",
                limit=limits.max_schedules,
                value=live,
                scope=f"session {book.session}",
                hint="delete one that is not needed (schedule_list shows them)",
            )
        at = now()
        schedule = Schedule(
            id=new_id(MADE.rstrip("-")),
            time=at,
            text=_text(wish.text or ""),
            when=self._when(book, wish),
            created_by=by,
            created_at=at,
            since=at,
            missed=_missed(wish.missed or "run"),
            heartbeat=bool(wish.heartbeat),
            origin=lineage.origin,
            untrusted=lineage.untrusted,
            budget=lineage.budget,
            paused=bool(wish.paused),
        )
        made = first(schedule, self._clock())
        done = [s for s in there if s.state == "done"]
        old = [msgspec.structs.replace(s, deleted=True) for s in done[: len(done) - KEPT + 1]]
        await book.put(made, *(old if len(done) >= KEPT else ()))
        return made

    async def update(
        self, book: Book, schedule_id: str, wish: Wish, by: str, lineage: Lineage
    ) -> Schedule:
        """Change a schedule; what is left out stays."""
        schedule = book.get(schedule_id)
        only_paused = wish == Wish(paused=wish.paused)
        self._check_own(book, schedule, by, pausing=only_paused)
        at = self._clock()
        changed = msgspec.structs.replace(schedule, time=now())
        if wish.text is not None:
            text = _text(wish.text)
            changed = msgspec.structs.replace(
                changed, text=text, origin=lineage.origin, untrusted=lineage.untrusted
            )
        elif lineage.untrusted and by != OPERATOR:
            changed = msgspec.structs.replace(changed, untrusted=True)
        if wish.missed is not None:
            changed = msgspec.structs.replace(changed, missed=_missed(wish.missed))
        if wish.heartbeat is not None:
            changed = msgspec.structs.replace(changed, heartbeat=wish.heartbeat, quiet=0)
        if wish.retimes:
            when = self._when(book, _retimed(schedule.when, wish))
            changed = first(msgspec.structs.replace(changed, when=when, fired="", quiet=0), at)
        if wish.paused is not None and wish.paused != changed.paused:
            changed = _paused(changed, at) if wish.paused else resumed(changed, at)
        await book.put(changed)
        return changed

    async def delete(self, book: Book, schedule_id: str, by: str) -> Schedule:
        """Take a schedule away; a run that has begun goes on."""
        schedule = book.get(schedule_id)
        self._check_own(book, schedule, by)
        await book.put(msgspec.structs.replace(schedule, time=now(), deleted=True))
        return schedule

    async def configure(self, book: Book) -> None:
        """Bring the book in line with the operator's entries in ``config.json``."""
        if book.trouble is not None:
            return
        at = self._clock()
        entries = {entry.id: entry for entry in book.place.settings.schedules}
        changed = [
            msgspec.structs.replace(known, time=now(), deleted=True)
            for known in book.all()
            if known.configured and known.id not in entries
        ]
        for entry in entries.values():
            known = book.find(entry.id)
            wanted = _configured(entry, known)
            if known is None or known.when != wanted.when:
                changed.append(first(wanted, at))
            elif wanted != known:
                changed.append(wanted)
        await book.put(*changed)

    def _when(self, book: Book, wish: Wish) -> When:
        at = self._clock()
        when = read_when(at, once=wish.once, every=wish.every, cron=wish.cron, zone=wish.zone)
        if when.once and seconds_of(when.once) <= at:
            raise Invalid(
                "in_the_past",
                f"{when.once} is in the past: it is {now()} now",
                hint='give a later time, such as "in 10 minutes"',
            )
        least = self._limits(book.session).min_schedule_seconds
        if (often := _shortest(when, at)) is not None and often < least:
            raise Invalid(
                "too_often",
                f"that is every {often:g} seconds, the limit is {least:g}",
                hint=f"every {least:g} seconds or less often",
            )
        return when

    def _check_own(self, book: Book, schedule: Schedule, by: str, pausing: bool = False) -> None:
        if by == OPERATOR and (pausing or not schedule.configured):
            return
        if schedule.configured:
            raise Refused(
                "configured",
                f"schedule {schedule.id!a} stands in config.json",
                hint=f"change it there: sessions.{book.session}.schedules"
                if by == OPERATOR
                else "only your human changes it, in config.json",
            )
        if schedule.created_by != by:
            raise Refused(
                "not_yours",
                f"schedule {schedule.id} was set by {schedule.created_by}",
                hint="only your human changes it",
            )


def resumed(schedule: Schedule, at: float) -> Schedule:
    """The schedule in force again, from its next time on; what passed meanwhile is passed over.

    A moment that passed while it stood still is due at once, unless missed runs are skipped.
    """
    going = msgspec.structs.replace(schedule, paused=False, reason="", failures=0, quiet=0)
    if going.when.once and (going.missed == "run" or not going.next):
        return going
    return msgspec.structs.replace(going, next=following(going, at))


def _paused(schedule: Schedule, at: float) -> Schedule:
    return msgspec.structs.replace(schedule, paused=True, reason="")


def _configured(entry: ScheduleEntry, known: Schedule | None) -> Schedule:
    at = now()
    if known is None:
        known = Schedule(
            id=entry.id,
            time=at,
            text=entry.text,
            when=entry.when,
            created_by=CONFIG,
            created_at=at,
            since=at,
        )
    changed = msgspec.structs.replace(
        known,
        text=entry.text,
        when=entry.when,
        missed=entry.missed,
        heartbeat=entry.heartbeat,
        created_by=CONFIG,
    )
    if changed.when != known.when:
        return msgspec.structs.replace(
            changed, time=at, fired="", failures=0, quiet=0, paused=False, reason=""
        )
    return changed


def _retimed(when: When, wish: Wish) -> Wish:
    """The wish with what it leaves out of the old cron line: a new zone alone keeps the line."""
    if wish.once is None and wish.every is None and wish.cron is None:
        if not when.cron:
            raise Invalid(
                "invalid_schedule",
                "only a cron line has a zone",
                hint="give once, every or cron as well",
            )
        return Wish(cron=when.cron, zone=wish.zone)
    zone = wish.zone or (when.zone if wish.cron else None) or None
    return Wish(once=wish.once, every=wish.every, cron=wish.cron, zone=zone)


def _shortest(when: When, at: float) -> float | None:
    """The shortest time between two of the next runs."""
    if when.every:
        return when.every
    if not when.cron:
        return None
    times = [at]
    while len(times) < _LOOKED_AT and (found := next_after(when, at, times[-1])) is not None:
        times.append(found)
    gaps = [late - early for early, late in pairwise(times[1:])]
    return min(gaps, default=None)


def _text(text: str) -> str:
    if not text.strip():
        raise Invalid("empty_text", "a schedule says something", hint="give a text")
    if len(text) > MAX_TEXT:
        raise Invalid(
            "too_large",
            f"the text has {len(text)} characters, the limit is {MAX_TEXT}",
            hint="put the rest into a file of the workspace",
        )
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise Invalid("invalid_text", "the text has a NUL or a surrogate", hint="send plain text")
    return text


def _missed(text: str) -> Missed:
    known: dict[str, Missed] = {"run": "run", "skip": "skip"}
    if text not in known:
        raise Invalid("invalid_missed", f"missed is not {text[:40]!a}", hint="run or skip")
    return known[text]
