"""Curiosity as a group of tools, with a scan of each session every so often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clawd.agent.tool import Tool, bind
from clawd.agent.workbench import Place, Toolkit, Workbench
from clawd.errors import ClawdError, NotFound
from clawd.events import Event, Notice
from clawd.tools.curiosity.failures import Failures
from clawd.tools.curiosity.keeping import change_page, read_page
from clawd.tools.curiosity.page import Goal, Page
from clawd.tools.curiosity.reading import Reading
from clawd.tools.curiosity.scanning import Scan, open_on, scan
from clawd.tools.curiosity.tools import CuriosityTools, Scheduler

FIRST_SECONDS = 60.0
"""How long after the start the first scan is at the latest: the start itself has enough to do."""

Later = Callable[[float, Callable[[], Awaitable[object]]], Callable[[], None]]
"""Runs something after so many seconds; the answer cancels it."""


@dataclass(slots=True)
class _Session:
    place: Place
    reading: Reading
    cancel: Callable[[], None] = lambda: None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    open: int = 0
    told: str = ""

    @property
    def seconds(self) -> float:
        return self.place.settings.aca.scan_interval * 60


class Curiosity(Toolkit):
    """Objectives of the sessions whose `aca` is enabled."""

    def __init__(
        self,
        emit: Callable[[Event], object],
        later: Later,
        scheduler: Scheduler | None = None,
    ) -> None:
        self._emit = emit
        self._later = later
        self._scheduler = scheduler
        self._sessions: dict[str, _Session] = {}
        self.failures = Failures()

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """The four tools, when `aca` is enabled."""
        if not bench.settings.aca.enabled or bench.settings.id not in self._sessions:
            return {}
        return bind(CuriosityTools(self, self._scheduler, bench))

    async def recalled(self, bench: Workbench, said: str) -> str:
        """How many objectives are open: a number, none of their words."""
        session = self._sessions.get(bench.settings.id)
        if session is None or not session.open or not bench.settings.aca.enabled:
            return ""
        return f"Open objectives of yours: {session.open} (view_objectives)."

    async def settle(self, places: Iterable[Place]) -> None:
        """Scan the sessions that want it at their intervals, and no others."""
        wanted = {place.id: place for place in places if place.settings.aca.enabled}
        self.failures.watch(wanted)
        for session_id in [*self._sessions]:
            place = wanted.get(session_id)
            if place is None or place.workspace != self._sessions[session_id].place.workspace:
                self._sessions.pop(session_id).cancel()
        for place in wanted.values():
            session = self._sessions.get(place.id)
            if session is None:
                session = self._sessions[place.id] = _Session(place, Reading(place.workspace))
                self._arm(session, min(FIRST_SECONDS, session.seconds))
            elif session.place.settings.aca != place.settings.aca:
                session.place = place
                self._arm(session, session.seconds)
            session.place = place

    async def close(self) -> None:
        """Begin no more scans."""
        for session in self._sessions.values():
            session.cancel()
        self._sessions.clear()

    # What the tools ask for.

    async def page(self, bench: Workbench) -> Page:
        """The page as it is now."""
        return await asyncio.to_thread(read_page, bench.workspace)

    async def scan(self, bench: Workbench) -> Scan:
        """Look for open ends now."""
        session = self._sessions.get(bench.settings.id)
        if session is None:
            raise NotFound("unknown_session", f"session {bench.settings.id!a} is not curious")
        return await self._scan(session)

    async def put(self, bench: Workbench, goal: Goal, result: str = "") -> None:
        """Write an objective anew; ``NotFound`` when it was deleted meanwhile."""

        def change(page: Page) -> int:
            if page.get(goal.id) is None:
                raise NotFound("objective_not_found", f"{goal.id} is no longer in CURIOSITY.md")
            page.put(goal, result)
            return open_on(page)

        session = self._sessions.get(bench.settings.id)
        async with session.lock if session else asyncio.Lock():
            left = await asyncio.to_thread(change_page, bench.workspace, change)
        if session is not None:
            session.open = left

    # Within.

    def _arm(self, session: _Session, seconds: float) -> None:
        session.cancel()
        session.cancel = self._later(seconds, lambda: self._due(session))

    async def _due(self, session: _Session) -> None:
        try:
            found = await self._scan(session)
        except ClawdError as failure:
            self._tell(session, failure)
        else:
            session.told = ""
            if found.added:
                text = f"{len(found.added)} new objectives in {_page_of(session)}"
                self._emit(Notice(session=session.place.id, code="curiosity", text=text))
        finally:
            if self._sessions.get(session.place.id) is session:
                self._arm(session, session.seconds)

    async def _scan(self, session: _Session) -> Scan:
        place = session.place
        waiting = await self._waiting(place.id)
        async with session.lock:
            found = await asyncio.to_thread(
                scan,
                place.workspace,
                session.reading,
                self.failures.repeated(place.id),
                place.settings.aca.max_goals_per_cycle,
                waiting,
            )
        session.open = found.open
        return found

    async def _waiting(self, session_id: str) -> Collection[str] | None:
        if self._scheduler is None:
            return None
        try:
            there = await self._scheduler.all(session_id)
        except ClawdError:
            # Its schedules cannot be read: whoever reads them says so.
            return None
        return {each.id for _, each in there if each.state != "done"}

    def _tell(self, session: _Session, failure: ClawdError) -> None:
        if session.told != failure.message:
            session.told = failure.message
            text = f"{failure.message}; {failure.hint}" if failure.hint else failure.message
            self._emit(
                Notice(session=session.place.id, code="curiosity", text=text, level="warning")
            )


def _page_of(session: _Session) -> Path:
    return session.place.workspace / "CURIOSITY.md"
