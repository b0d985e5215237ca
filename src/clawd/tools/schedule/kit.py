"""The group of tools of schedules, and what keeps their time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal

from clawd.agent.tool import Tool, bind
from clawd.agent.workbench import Place, Toolkit, Workbench
from clawd.config.schema import Limits
from clawd.errors import ClawdError, NotFound, Refused
from clawd.events import Event, Notice, PromptQueued, RunFailed, RunFinished, SessionMessageChanged
from clawd.ids import OPERATOR
from clawd.lineage import Lineage, begin
from clawd.storage.sealing import Sealing
from clawd.storage.writer import Writer
from clawd.stream import Published
from clawd.tools.schedule.alarm import Alarm, Key
from clawd.tools.schedule.book import Book, unknown
from clawd.tools.schedule.changes import Changes, Wish
from clawd.tools.schedule.planning import at_own_pace
from clawd.tools.schedule.ports import Ended, Inbox, Later, Turns
from clawd.tools.schedule.records import Run, Schedule
from clawd.tools.schedule.running import AGAIN_SECONDS, Runs, looked_at
from clawd.tools.schedule.tools import ScheduleTools

log = logging.getLogger("clawd.schedule")

_OPENING_SECONDS = 10.0


class Schedules(Toolkit):
    """Every session's schedules, under one timer."""

    def __init__(
        self,
        turns: Turns,
        inbox: Inbox,
        writer: Writer,
        limits: Callable[[str], Limits],
        emit: Callable[[Event], object],
        later: Later,
        sealing: Sealing | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._turns = turns
        self._writer = writer
        self._emit = emit
        self._later = later
        self._sealing = sealing
        self._clock = clock
        self._books: dict[str, Book] = {}
        self._alarm = Alarm(self.tick, later, clock)
        self._runs = Runs(turns, inbox, limits, emit, clock)
        self._changes = Changes(limits, clock)
        self._settling = asyncio.Lock()
        self._settled = asyncio.Event()

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """The four tools, when ``tools.schedule`` is on."""
        return bind(ScheduleTools(self, bench)) if bench.settings.tools.schedule else {}

    async def settle(self, places: Iterable[Place]) -> None:
        """The sessions that there are: open the books that came, close those that went."""
        async with self._settling:
            wanted = {place.id: place for place in places}
            for session, book in list(self._books.items()):
                place = wanted.get(session)
                if place is None or place.workspace != book.place.workspace:
                    await self._shut(book)
            fresh = [Book(p, self._writer, self._sealing, self._cut) for p in wanted.values()]
            fresh = [book for book in fresh if book.session not in self._books]
            problems = await asyncio.to_thread(lambda: [book.load() for book in fresh])
            for book, found in zip(fresh, problems, strict=True):
                for text in found:
                    self._notice(book, text, "warning" if book.trouble is None else "error")
                self._books[book.session] = book
                await self._bring(book, recover=True)
            for book in [b for b in self._books.values() if b not in fresh]:
                place = wanted[book.session]
                if place.settings is not book.place.settings:
                    book.place = place
                    await self._bring(book)
            self._alarm.arm()
            self._settled.set()

    async def close(self) -> None:
        """Begin no more runs."""
        self._alarm.close()

    async def tick(self) -> None:
        """Do what is due: side by side for different sessions, in order within one."""
        due: dict[str, list[str]] = {}
        for session, schedule_id in self._alarm.due():
            due.setdefault(session, []).append(schedule_id)
        async with asyncio.TaskGroup() as group:
            for session, ids in due.items():
                if (book := self._books.get(session)) is not None:
                    group.create_task(self._serve(book, ids))

    sees = (RunFinished, RunFailed, PromptQueued, SessionMessageChanged)

    def see(self, published: Published) -> None:
        """Follow the stream: a run that ended is settled, and read mail wakes a heartbeat."""
        event = published.event
        match event:
            case RunFinished() | RunFailed():
                book = self._books.get(event.session)
                if book is not None and event.run_id in book.begun:
                    self._later(0, lambda: self._ended(book, event))
            case PromptQueued():
                self._heard_from(event.session)
            case SessionMessageChanged(message=message):
                if message.from_ == OPERATOR:
                    self._heard_from(message.to)
                elif message.to == OPERATOR and message.read:
                    self._heard_from(message.from_)
            case _:
                pass

    # What sessions, the operator and other parts ask for.

    async def create(
        self,
        session: str,
        text: str,
        *,
        once: str | None = None,
        every: str | None = None,
        cron: str | None = None,
        zone: str | None = None,
        missed: str | None = None,
        heartbeat: bool = False,
        lineage: Lineage | None = None,
        by: str = "",
    ) -> Schedule:
        """Make a schedule for a session; durable when this returns.

        ``once`` is a time or "in 10 minutes", ``every`` a period, ``cron`` five fields: one of
        the three. ``lineage`` is that of the turn that wants it, the operator's when left out;
        ``by`` the session that does. Raises ``Invalid``, ``NotFound``, ``GuardRefused`` or
        ``StorageError``; then there is none.
        """
        book = await self._book(session)
        wish = Wish(text, once, every, cron, zone, missed, heartbeat)
        async with book.lock:
            made = await self._changes.create(book, wish, by or OPERATOR, lineage or begin())
            self._set(book, made.id)
        self._alarm.arm()
        return made

    async def all(self, session: str | None = None) -> list[tuple[str, Schedule]]:
        """Every schedule with its session, or those of one session."""
        if session is None:
            await self._there()
            books = [await self._book(name) for name in list(self._books)]
        else:
            books = [await self._book(session)]
            books[0].check()
        return [(book.session, schedule) for book in books for schedule in book.all()]

    async def find(self, schedule_id: str, session: str | None = None) -> tuple[str, Schedule]:
        """A schedule by id, whose session need not be named where only one has this id."""
        if session is not None:
            return session, (await self._book(session)).get(schedule_id)
        listed = await self.all()
        found = [(name, each) for name, each in listed if each.id == schedule_id]
        if len(found) > 1:
            names = ", ".join(name for name, _ in found)
            raise Refused(
                "ambiguous_id",
                f"several sessions have a schedule {schedule_id!a}: {names}",
                hint="name the session as well",
            )
        if not found:
            raise unknown(schedule_id, [each.id for _, each in listed])
        return found[0]

    async def update(
        self,
        session: str,
        schedule_id: str,
        wish: Wish,
        *,
        by: str = OPERATOR,
        lineage: Lineage | None = None,
    ) -> Schedule:
        """Change a schedule, pause it or let it go on."""
        book = await self._book(session)
        async with book.lock:
            changed = await self._changes.update(book, schedule_id, wish, by, lineage or begin())
            self._set(book, schedule_id)
        self._alarm.arm()
        return changed

    async def delete(self, session: str, schedule_id: str, *, by: str = OPERATOR) -> Schedule:
        """Take a schedule away; a run that has begun goes on."""
        book = await self._book(session)
        async with book.lock:
            gone = await self._changes.delete(book, schedule_id, by)
            self._set(book, schedule_id)
        return gone

    async def run(self, session: str, schedule_id: str) -> Run:
        """Begin a run now, on the operator's word; its own times stay as they are."""
        book = await self._book(session)
        async with book.lock:
            schedule = book.get(schedule_id)
            if schedule.open is not None:
                raise Refused(
                    "already_running",
                    f"schedule {schedule_id} has a run that is not over: {schedule.open.turn}",
                    hint="wait for its end, or stop that turn",
                )
            run = await self._runs.fire(book, schedule, manual=True)
            self._set(book, schedule_id)
        return run

    async def reseal(self, session: str) -> None:
        """Seal the schedules of a session, or open them, as its settings are now."""
        book = self._books.get(session)
        if book is not None and book.trouble is None:
            async with book.lock:
                await book.reseal()

    # Within.

    async def _book(self, session: str) -> Book:
        if session not in self._books:
            await self._there()
        book = self._books.get(session)
        if book is not None and book.trouble is not None:
            await self._reopen(book)
        if book is None:
            raise NotFound(
                "unknown_session",
                f"session {session[:80]!a} has no schedules",
                hint="it is not there, or disabled",
            )
        return book

    async def _there(self) -> None:
        """Wait until the books are open: the daemon answers a little before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPENING_SECONDS):
                await self._settled.wait()
                async with self._settling:
                    pass

    async def _bring(self, book: Book, *, recover: bool = False) -> None:
        """Bring a book in line with its session's settings, and its alarms with that."""
        async with book.lock:
            try:
                await self._changes.configure(book)
                if recover and book.trouble is None:
                    await self._runs.recover(book)
            except ClawdError as error:
                self._notice(book, f"schedules of {book.session}: {error.message}", "error")
            for schedule in book.all():
                self._set(book, schedule.id)
            if book.trouble is not None:
                self._alarm.set((book.session, ""), self._clock() + AGAIN_SECONDS)

    async def _reopen(self, book: Book) -> None:
        """Try to read a file once more that could not be read: the key may be there by now."""
        async with book.lock:
            if book.trouble is None:
                return  # somebody was faster, and may have changed it since
            await asyncio.to_thread(book.load)
        await self._bring(book, recover=True)
        self._alarm.arm()

    async def _shut(self, book: Book) -> None:
        async with book.lock:
            del self._books[book.session]
            for name in ["", *(schedule.id for schedule in book.all())]:
                self._alarm.set((book.session, name), None)
        await self._writer.release(book.path)

    async def _serve(self, book: Book, ids: list[str]) -> None:
        if book.trouble is not None:
            await self._reopen(book)
        async with book.lock:
            for schedule_id in ids:
                schedule = book.find(schedule_id)
                if schedule is None or self._books.get(book.session) is not book:
                    continue
                again: float | None = AGAIN_SECONDS
                try:
                    again = await self._runs.serve(book, schedule)
                except ClawdError as error:
                    log.warning("schedule %s of %s: %s", schedule_id, book.session, error)
                except Exception:
                    # One that cannot be served must not stop the others.
                    log.exception("schedule %s of %s failed", schedule_id, book.session)
                self._set(book, schedule_id, again)

    async def _ended(self, book: Book, event: RunFinished | RunFailed) -> None:
        async with book.lock:
            found = (s for s in book.all() if s.open is not None and s.open.turn == event.run_id)
            schedule = next(found, None)
            if schedule is None or schedule.open is None:
                book.begun.discard(event.run_id)
                return
            if self._turns.is_open(book.session, event.run_id):
                return  # it goes on once the disk takes it
            if isinstance(event, RunFinished):
                end = Ended("finished", event.final_message)
            else:
                end = Ended("failed", error=event.error)
            again = None
            try:
                await self._runs.settle(book, schedule, schedule.open, end)
            except ClawdError as error:
                log.warning("schedule %s of %s: %s", schedule.id, book.session, error)
                again = AGAIN_SECONDS
            self._set(book, schedule.id, again)
        self._alarm.arm()

    def _heard_from(self, session: str) -> None:
        """The operator reads or writes: the heartbeats of a session go back to their own pace."""
        book = self._books.get(session)
        if book is not None and any(schedule.quiet for schedule in book.all()):
            self._later(0, lambda: self._at_own_pace(book))

    async def _at_own_pace(self, book: Book) -> None:
        async with book.lock:
            for schedule in [s for s in book.all() if s.quiet]:
                await book.put(at_own_pace(schedule, self._clock()))
                self._set(book, schedule.id)
        self._alarm.arm()

    def _set(self, book: Book, schedule_id: str, again: float | None = None) -> None:
        """Set the alarm of a schedule: for its next time, or in ``again`` seconds."""
        key: Key = (book.session, schedule_id)
        self._alarm.set(key, looked_at(book, schedule_id, self._clock(), again))

    def _cut(self, book: Book, schedules: Iterable[Schedule]) -> None:
        """Whoever changed them was cancelled: they are in force, and nobody else sets the time."""
        for schedule in schedules:
            self._set(book, schedule.id)
        self._alarm.arm()

    def _notice(self, book: Book, text: str, level: Literal["warning", "error"]) -> None:
        self._emit(Notice(session=book.session, code="schedule", text=text, level=level))
