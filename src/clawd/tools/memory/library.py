"""The notes of all sessions: each asked on a thread of its own, a few of them held open."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from clawd.events import Event, Notice
from clawd.tools.memory.news import FolderNews
from clawd.tools.memory.shelf import Shelf

OPEN = 32
"""So many sessions' notes are held open: a thread, a database and a watch each."""

Result = TypeVar("Result")


@dataclass(slots=True)
class _Desk:
    shelf: Shelf
    workspace: Path
    worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "memory"))
    asked: int = 0

    def close(self) -> None:
        """End it as soon as what it does now has ended."""
        self.shelf.stop.set()
        self.worker.submit(self.shelf.close)
        self.worker.shutdown(wait=False)


class Library:
    """Finds the notes of a session; ``state`` is the folder of the indexes."""

    def __init__(self, state: Path, emit: Callable[[Event], object]) -> None:
        self._state = state
        self._emit = emit
        self._news = FolderNews()
        self._desks: OrderedDict[str, _Desk] = OrderedDict()

    async def ask(
        self, session: str, workspace: Path, question: Callable[[Shelf], Result]
    ) -> Result:
        """What the notes of a session answer; one question at a time, in their order."""
        desk = self._desk(session, workspace)
        desk.asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                desk.worker, question, desk.shelf
            )
        finally:
            desk.asked -= 1
            if said := desk.shelf.problem():
                self._emit(Notice(session=session, code="memory_index", text=said, level="warning"))

    def keep(self, sessions: Collection[str]) -> None:
        """Let go what belongs to no session of these."""
        for session in [s for s in self._desks if s not in sessions]:
            self._desks.pop(session).close()

    def close(self) -> None:
        """Let everything go."""
        self.keep(())
        self._news.close()

    def _desk(self, session: str, workspace: Path) -> _Desk:
        desk = self._desks.get(session)
        if desk is not None and desk.workspace != workspace:
            self._desks.pop(session).close()
            desk = None
        if desk is None:
            idle = [name for name, other in self._desks.items() if not other.asked]
            if len(self._desks) >= OPEN and idle:
                self._desks.pop(idle[0]).close()
            shelf = Shelf(workspace, self._state / f"{session}.sqlite", self._news)
            desk = self._desks[session] = _Desk(shelf, workspace)
        self._desks.move_to_end(session)
        return desk
