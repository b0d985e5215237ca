"""Summarising a session's history on the operator's word: a model call that a pause stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from clawd.errors import ClawdError, Refused
from clawd.sessions.transcript import Transcript


class Compaction:
    """Runs ``compact`` outside a turn, one session's."""

    def __init__(
        self, transcript: Transcript, compact: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._transcript = transcript
        self._compact = compact
        self._work: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """The session stands still: so does this."""
        if self._work is not None:
            self._work.cancel()

    async def run(self, stopped: Refused) -> tuple[int, int]:
        """Summarise now; tokens of history before and after. Raises ``stopped`` when it was."""
        before = self._transcript.tokens()
        try:
            async with asyncio.TaskGroup() as group:
                self._work = work = group.create_task(self._compact())
        except* ClawdError as failed:
            raise failed.exceptions[0] from None
        finally:
            self._work = None
        if work.cancelled():
            raise stopped
        return before, self._transcript.tokens()
