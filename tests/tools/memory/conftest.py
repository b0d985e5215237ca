"""A session with notes in a workspace of its own, without a daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from clawd.agent.tool import Answer
from clawd.agent.trust import Trust
from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings, ToolSettings
from clawd.errors import ClawdError, ProviderBusy
from clawd.events import Event, Notice
from clawd.lineage import begin
from clawd.llm.port import Embedder
from clawd.testing.embeddings import Embeddings
from clawd.tools.memory.toolkit import Memory


class Endpoint:
    """Vectors without a network; see ``Embedder``."""

    def __init__(self, embeddings: Embeddings, name: str) -> None:
        self.name = name
        self._embeddings = embeddings

    async def embed(self, texts: Sequence[str], seconds: float) -> list[list[float]]:
        """What the scripted endpoint says."""
        status, _ = self._embeddings.answer({"input": list(texts)})
        if status != 200:
            raise ProviderBusy("provider_busy", f"host answered {status}", retryable=True)
        return [self._embeddings.vector(text) for text in texts]


class Desk:
    """The notes of one session; ``trust`` is that of its present turn."""

    def __init__(self, workspace: Path, state: Path) -> None:
        self.workspace, self.state = workspace, state
        self.folder = workspace / "memory"
        self.index = state / "memory" / "s.sqlite"
        self.trust = Trust()
        self.events: list[Event] = []
        self.embeddings: Embeddings | None = None
        self.model = "embed"
        self.hidden = ""
        self._settings = SessionSettings(id="s", tools=ToolSettings())
        self._working: set[asyncio.Task[Any]] = set()
        self.kit = self._kit()

    def _kit(self) -> Memory:
        return Memory(self.state, self.events.append, self._spawn, self._finder, self._hide)

    def _hide(self, text: str) -> str:
        return text.replace(self.hidden, "***") if self.hidden else text

    async def _finder(self, bench: Workbench) -> Embedder | None:
        if self.embeddings is None:
            return None
        return Endpoint(self.embeddings, f"scripted/{self.model}")

    def _spawn(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        self._working.add(asyncio.ensure_future(work))

    async def settled(self) -> None:
        """Wait for what runs in the background."""
        while self._working:
            await self._working.pop()

    def bench(self) -> Workbench:
        """The caller, in the present turn."""
        lineage = begin()
        return Workbench("s", self.workspace, self._settings, lineage, "turn-1", trust=self.trust)

    def new_turn(self) -> None:
        """Begin a turn that has read nothing from outside."""
        self.trust = Trust()

    def write(self, name: str, text: str) -> Path:
        """Put a note there by hand."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    async def restart(self) -> None:
        """As a daemon that ended and was started anew."""
        await self.kit.close()
        self.kit = self._kit()

    async def do(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool; raises what it refuses."""
        return await self.kit.tools(self.bench())[tool].call(arguments)

    async def save(self, text: str, **more: Any) -> str:
        """Keep a note; its id."""
        return str((await self.do("memory_save", text=text, **more)).facts["id"])  # type: ignore[index]

    async def found(self, query: str, **more: Any) -> list[dict[str, Any]]:
        """What a search finds."""
        answer = await self.do("memory_search", query=query, **more)
        return list((answer.facts or {})["notes"])

    async def ids(self, query: str, **more: Any) -> list[str]:
        """The ids of what a search finds."""
        return [note["id"] for note in await self.found(query, **more)]

    async def recalled(self, said: str) -> str:
        """The part of a prompt for what was said."""
        return await self.kit.recalled(self.bench(), said)

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The code of the error that a call must end with, which is one clear sentence."""
        with pytest.raises(ClawdError) as refusal:
            await self.do(tool, **arguments)
        error = refusal.value
        assert "\n" not in error.message
        assert len(error.message) < 400
        return error.code

    def notices(self) -> list[str]:
        """The codes of what was told so far."""
        return [event.code for event in self.events if isinstance(event, Notice)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A session without notes yet."""
    workspace, state = tmp_path / "workspace", tmp_path / "state"
    workspace.mkdir()
    state.mkdir(0o700)
    made = Desk(workspace, state)
    yield made
    await made.settled()
    await made.kit.close()
