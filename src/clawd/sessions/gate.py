"""How many turns run at once in the daemon, with slots that a waiting turn gives back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Gate:
    """A counting gate, first come first served, whose size may change while it is in use."""

    def __init__(self, size: Callable[[], int]) -> None:
        self._size = size
        self._used = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Hold a slot for the length of a turn."""
        slot = Slot(self)
        await slot.take()
        try:
            yield slot
        finally:
            slot.give()

    async def take(self) -> None:
        """Wait for a place."""
        if self._used < self._size() and not self._queue:
            self._used += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give()
            else:
                self._queue.remove(place)
            raise

    def give(self) -> None:
        """Give a place back to whoever waits longest."""
        self._used -= 1
        while self._queue and self._used < self._size():
            place = self._queue.popleft()
            if not place.done():
                self._used += 1
                place.set_result(None)


class Slot:
    """One place in the gate, which its turn may lend while it waits for somebody."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held = False
        self._lent = 0

    async def take(self) -> None:
        """Wait for the place."""
        await self._gate.take()
        self._held = True

    def give(self) -> None:
        """Give the place back, if it is held."""
        if self._held:
            self._held = False
            self._gate.give()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Give the place back for a while, and take one again after.

        Calls of one turn may overlap: the first gives the place back, the last takes one. A
        cancelled turn takes none: it ends, and must not wait for that.
        """
        self._lent += 1
        self.give()
        try:
            yield
        except asyncio.CancelledError:
            self._lent -= 1
            raise
        except BaseException:
            await self._back()
            raise
        await self._back()

    async def _back(self) -> None:
        self._lent -= 1
        if self._lent == 0 and not self._held:
            await self.take()
