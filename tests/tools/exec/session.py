"""A session that may run commands, as tests use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clawd.agent.tool import Answer
from clawd.agent.workbench import Place, Workbench
from clawd.config.schema import SessionSettings
from clawd.lineage import begin
from clawd.sandbox.probe import bubblewrap
from clawd.tools.exec.kit import Exec

needs_bubblewrap = pytest.mark.skipif(
    bubblewrap().ability is None, reason=f"bubblewrap: {bubblewrap().problem}"
)


class Session:
    """One session's side of the kit: its settings, its workspace, its tools."""

    def __init__(self, kit: Exec, workspace: Path, settings: SessionSettings) -> None:
        self.kit = kit
        self.workspace = workspace
        self.settings = settings
        self.bench = self.bound()

    def bound(self) -> Workbench:
        """A turn that begins."""
        return Workbench(self.settings.id, self.workspace, self.settings, begin(), "run-1")

    @property
    def place(self) -> Place:
        """The session as the kit is told of it."""
        return Place(self.settings, self.workspace)

    async def call(self, tool: str, /, **arguments: Any) -> Answer:
        """Call a tool as a model does."""
        return await self.kit.tools(self.bench)[tool].call(arguments)

    async def facts(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """What a call answers, as JSON."""
        answer = await self.call(tool, **arguments)
        assert answer.facts is not None
        return answer.facts
