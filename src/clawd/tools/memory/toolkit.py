"""Notes as a group of tools that sessions have unless ``tools.memory`` is false."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from clawd.agent.tool import Tool, bind
from clawd.agent.workbench import Place, Toolkit, Workbench
from clawd.errors import ClawdError
from clawd.events import Event, Notice
from clawd.tools.memory.books import Books
from clawd.tools.memory.library import Library
from clawd.tools.memory.meaning import Finder, Meaning, Spawn
from clawd.tools.memory.tools import MemoryTools

FROM_HISTORY = "conversation"
"""The tag of notes that were made when history was summarised."""


class Memory(Toolkit):
    """Notes by sessions; ``books`` is for those who act on the operator's word.

    ``finder`` gives the embedder of a session, if its provider has one; ``spawn`` runs something
    in the background.
    """

    def __init__(
        self,
        state: Path,
        emit: Callable[[Event], object],
        spawn: Spawn,
        finder: Finder,
        hide: Callable[[str], str],
    ) -> None:
        self._emit = emit
        self._library = Library(state / "memory", emit)
        self.books = Books(self._library, Meaning(self._library, finder, emit, spawn), hide)

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """The four tools."""
        return bind(MemoryTools(self.books, bench)) if bench.settings.tools.memory else {}

    async def recalled(self, bench: Workbench, said: str) -> str:
        """The notes that belong to what started the turn."""
        return await self.books.recall(bench, said) if bench.settings.tools.memory else ""

    def remembers(self, bench: Workbench) -> bool:
        """Whether facts of a conversation that is summarised are wanted."""
        return bench.settings.tools.memory

    async def remember(self, bench: Workbench, facts: Sequence[str]) -> None:
        """Keep facts of a conversation that was summarised; what fails is told, and no more."""
        for fact in facts:
            try:
                await self.books.save(bench, fact, tags=(FROM_HISTORY,))
            except ClawdError as error:
                text = f"a fact was not noted: {error.message}"
                self._emit(Notice(session=bench.session, code="memory", text=text, level="warning"))
                return

    async def settle(self, places: Iterable[Place]) -> None:
        """Let go of sessions that are no more."""
        self._library.keep({place.id for place in places})

    async def close(self) -> None:
        """Let every index go."""
        self._library.close()
