"""How long an endpoint may take, how often it is asked again, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from clawd.errors import TimedOut

FOLLOW_SECONDS = 2.0
"""How long the others wait for word of the call that went first."""


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
    """At most ``count`` calls at once, and none before a time that the endpoint asked for.

    After that time one call goes first. The others follow when it got through, and until then one
    by one: those who waited together do not all come back at the same moment.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._not_before = 0.0
        self._shut = False
        self._first: object | None = None
        self._news = asyncio.Event()

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
        self._shut = True

    async def opened(self, who: object, deadline: float) -> None:
        """Wait until this call may begin; ``TimeoutError`` when that is not before ``deadline``.

        Once it has begun, ``took`` or ``left`` tells how it fared.
        """
        clock = asyncio.get_running_loop().time
        while self._shut:
            now = clock()
            if now >= self._not_before and self._first in (None, who):
                self._first = who
                return
            if now >= deadline:
                raise TimeoutError
            if now < self._not_before:
                # Another call may be told to wait longer meanwhile.
                await asyncio.sleep(min(self._not_before, deadline) - now)
                continue
            first, news = self._first, self._news
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(now + FOLLOW_SECONDS, deadline)):
                    await news.wait()
            if self._first is first and not news.is_set():
                self._first = None

    def took(self) -> None:
        """The endpoint takes calls again: all may go on."""
        if self._shut and asyncio.get_running_loop().time() >= self._not_before:
            self._shut = False
            self._tell()

    def left(self, who: object) -> None:
        """This call has ended in whatever way: if it went first, the next one may."""
        if self._first is who:
            self._tell()

    def _tell(self) -> None:
        self._first = None
        news, self._news = self._news, asyncio.Event()
        news.set()
