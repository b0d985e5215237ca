"""The skills as a group of tools: who is offered which, and what is wrong with the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from clawd.agent.tool import Tool, bind
from clawd.agent.workbench import Place, Toolkit, Workbench
from clawd.events import Event, Notice
from clawd.tools.skills.offer import Offer, offer
from clawd.tools.skills.shelf import Shelf, Shelves
from clawd.tools.skills.tools import SkillTools


class Skills(Toolkit):
    """Agent Skills of ``<workspace>/skills`` and ``<home>/skills``."""

    def __init__(self, home: Path, emit: Callable[[Event], object]) -> None:
        self._home = home
        self._emit = emit
        self._shelves = Shelves()
        self._offers: dict[str, Offer] = {}
        self._told: set[tuple[str, str]] = set()

    async def offered(self, session: str, workspace: Path, wanted: tuple[str, ...] | None) -> Offer:
        """What a session is offered now; what is newly wrong is told once.

        ``wanted`` are the names in its settings, None for all.
        """
        places = (workspace, self._home)
        own, home = Shelf(), Shelf()
        if any(map(self._shelves.stands, places)):
            own, home = await asyncio.to_thread(self._look, *places)
        found = offer(own, home, wanted)
        self._offers[session] = found
        self._tell(session, found, home)
        return found

    async def prepare(self, bench: Workbench) -> None:
        """Look what is there, once for all of this turn."""
        await self._offered(bench)

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """``skill_open``, when there is something to open."""
        found = self._offers.get(bench.settings.id)
        return bind(SkillTools(bench, found)) if found and found.skills else {}

    async def listed(self, bench: Workbench) -> str:
        """The names and descriptions: in a turn those that it was begun with."""
        found = self._offers.get(bench.settings.id) if bench.turn else None
        return (found or await self._offered(bench)).listed()

    async def settle(self, places: Iterable[Place]) -> None:
        """Look at the skills of the sessions that there are, and forget the others."""
        there = list(places)
        ids = {place.id for place in there}
        self._offers = {session: it for session, it in self._offers.items() if session in ids}
        self._shelves.forget([self._home, *(place.workspace for place in there)])
        for place in there:
            await self.offered(place.id, place.workspace, place.settings.skills)

    async def _offered(self, bench: Workbench) -> Offer:
        return await self.offered(bench.settings.id, bench.workspace, bench.settings.skills)

    def _look(self, workspace: Path, home: Path) -> tuple[Shelf, Shelf]:
        return self._shelves.look(workspace, "workspace"), self._shelves.look(home, "home")

    def _tell(self, session: str, found: Offer, home: Shelf) -> None:
        lines: list[tuple[str, str, Literal["info", "warning"]]] = [
            ("" if line in home.problems else session, line, "warning") for line in found.problems
        ]
        lines += [(session, line, "info") for line in found.clashes]
        told = {(whose, line) for whose, line, _ in lines}
        for whose, line, level in lines:
            if (whose, line) not in self._told:
                self._emit(Notice(session=whose, code="skill", text=line, level=level))
        # What was mended and breaks again is news again.
        others = {each for each in self._told if each[0] not in ("", session)}
        self._told = others | told
