"""A workspace with file tools on it, beside a folder that they must not reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clawd.agent.tool import Answer
from clawd.agent.trust import Trust
from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings, ToolSettings
from clawd.errors import ClawdError
from clawd.lineage import begin
from clawd.storage import confine
from clawd.tools.files.kit import Files


class Desk:
    """A session's file tools; ``trust`` is that of its present turn."""

    def __init__(self, root: Path, **tools: Any) -> None:
        self.root = root
        self.trust = Trust()
        self.kit = Files()
        self._settings = SessionSettings(id="s", tools=ToolSettings(**tools))

    def bench(self) -> Workbench:
        """The caller, in the present turn."""
        return Workbench("s", self.root, self._settings, begin(), "turn-1", trust=self.trust)

    def new_turn(self) -> None:
        """Begin a turn that has read nothing from outside."""
        self.trust = Trust()

    async def do(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool; raises what it refuses."""
        return await self.kit.tools(self.bench())[tool].call(arguments)

    async def text(self, tool: str, **arguments: Any) -> str:
        """The text that a call is answered with."""
        return (await self.do(tool, **arguments)).text

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The code of the error that a call must end with, which is one clear sentence."""
        with pytest.raises(ClawdError) as refusal:
            await self.do(tool, **arguments)
        error = refusal.value
        assert "\n" not in error.message
        assert error.message.isprintable()
        assert len(error.message) < 400
        return error.code


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The workspace."""
    made = tmp_path / "workspace"
    made.mkdir()
    return made


@pytest.fixture
def desk(root: Path) -> Desk:
    """File tools as every session has them."""
    return Desk(root)


@pytest.fixture(params=[True, False], ids=["openat2", "without openat2"])
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of opening: the kernel's, and the one for systems that lack it."""
    if not request.param:
        monkeypatch.setattr(confine, "_OPENAT2", 100_000)
