"""Keeping the checksums of the lines of all logs up to date, off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from clawd.sessions.session import Session
from clawd.upkeep.places import IN_WORKSPACE
from clawd.upkeep.sums import extend, shorten, sums_of


class Checksums:
    """Those of the logs in ``state/`` and in the workspaces of the sessions."""

    def __init__(self, state: Path, sessions: Callable[[], Iterable[Session]]) -> None:
        self._state = state
        self._sessions = sessions

    async def take(self) -> None:
        """Note those of the lines that came since the last time."""
        logs = list(self._logs())
        await asyncio.to_thread(extend, self._state, logs)

    async def mended(self) -> None:
        """Forget those of lines that a mend has cut off, before anything is appended."""
        for log in list(self._logs()):
            await asyncio.to_thread(shorten, log, sums_of(self._state, log))

    def _logs(self) -> Iterator[Path]:
        yield from self._state.glob("*.jsonl")
        for session in self._sessions():
            yield from (session.workspace / name for name in IN_WORKSPACE)
