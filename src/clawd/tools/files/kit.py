"""The group of file tools as sessions have it: `tools.files`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from pathlib import Path

from clawd.agent.tool import Tool, bind
from clawd.agent.workbench import Place, Toolkit, Workbench
from clawd.storage.workspace import IDENTITY_FILES
from clawd.tools.files.ground import Ground
from clawd.tools.files.tools import FileTools

WALKS = 2
"""Searches at once, of all sessions: the threads that they hold are everybody's."""


class Files(Toolkit):
    """Tools for the files of a workspace."""

    def __init__(self) -> None:
        self._walks = asyncio.Semaphore(WALKS)
        self._changing: dict[Path, threading.Lock] = {}

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """The tools of a session that has not turned them off."""
        if not bench.settings.tools.files:
            return {}
        changing = self._changing.setdefault(bench.workspace, threading.Lock())
        ground = Ground(bench.workspace, bench.settings.tools.identity, changing)
        return bind(FileTools(ground, bench, self._walks))

    def permission(self, bench: Workbench) -> str:
        """What the tools reach, and which identity files they may write."""
        if not bench.settings.tools.files:
            return ""
        may = [name for name in IDENTITY_FILES if name in bench.settings.tools.identity]
        return (
            "Your file tools reach this folder and nothing else. "
            f"Of {', '.join(IDENTITY_FILES)} you may write {', '.join(may) or 'none'}; "
            "what you delete goes to .trash."
        )

    async def settle(self, places: Iterable[Place]) -> None:
        """Forget the locks of workspaces that are no more."""
        there = {place.workspace for place in places}
        for workspace in self._changing.keys() - there:
            if not self._changing[workspace].locked():
                del self._changing[workspace]
