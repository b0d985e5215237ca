"""How long an endpoint may take, how often it is asked again, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from clawd.errors import TimedOut


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of one model call; all times in seconds.

    ``attempts`` counts the first one. ``stall_attempts`` holds for silence, which costs the most
    time. A ``Retry-After`` above ``retry_after`` ends the call at once.
    """

    attempts: int = 3
    stall_attempts: int = 2
    backoff: float = 0.5
    longest_backoff: float = 8.0
    retry_after: float = 120.0
    connect: float = 10.0
    first_token: float = 120.0
    idle: float = 120.0

    def pause(self, attempt: int) -> float:
        """How long to wait after this attempt: doubling, with up to a quarter off by chance."""
        longest = min(self.backoff * 2.0 ** (attempt - 1), self.longest_backoff)
        return longest * (1 - 0.25 * random.random())


class Slots:
    """At most ``count`` calls at once, and none before a time that the endpoint asked for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._not_before = 0.0

    @asynccontextmanager
    async def slot(self, seconds: float) -> AsyncIterator[None]:
        """One of the slots; ``TimedOut`` when none is free in time."""
        try:
            async with asyncio.timeout(seconds if self._free.locked() else None):
                await self._free.acquire()
        except TimeoutError:
            raise TimedOut(
                "provider_queue",
                f"no model call could start within {seconds:g} s: {self._count} are running",
                hint="raise maxConcurrency of the provider template",
            ) from None
        try:
            yield
        finally:
            self._free.release()

    def close_for(self, seconds: float) -> None:
        """Let no call begin for so long."""
        until = asyncio.get_running_loop().time() + seconds
        self._not_before = max(self._not_before, until)

    async def opened(self, deadline: float) -> None:
        """Wait until calls may begin; ``TimeoutError`` when that is not before ``deadline``."""
        clock = asyncio.get_running_loop().time
        # Another call may be told to wait longer meanwhile.
        while (now := clock()) < self._not_before:
            await asyncio.sleep(min(self._not_before, deadline) - now)
            if clock() >= deadline:
                raise TimeoutError
