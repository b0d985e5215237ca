"""One timer for all schedules: a heap of what is due when, and a single call that waits."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable

from clawd.tools.schedule.ports import Later

LONGEST_SECONDS = 30.0
"""The clock may be set, or the machine sleep: it is looked at anew after so long."""
_SPARE = 1000

Key = tuple[str, str]
"""A session and one of its schedules."""


class Alarm:
    """Calls ``ring`` when something is due; it takes no time while nothing is."""

    def __init__(
        self, ring: Callable[[], Awaitable[object]], later: Later, clock: Callable[[], float]
    ) -> None:
        self._ring = ring
        self._later = later
        self._clock = clock
        self._heap: list[tuple[float, Key]] = []
        self._times: dict[Key, float] = {}
        self._cancel: Callable[[], None] | None = None
        self._armed = 0.0
        self._closed = False

    def __len__(self) -> int:
        return len(self._times)

    def set(self, key: Key, at: float | None) -> None:
        """Look at this one at that time (Unix seconds), or, with ``None``, not by itself."""
        if at is None:
            self._times.pop(key, None)
            return
        if self._times.get(key) == at:
            return
        self._times[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._times) + _SPARE:
            self._heap = [(when, each) for each, when in self._times.items()]
            heapq.heapify(self._heap)

    def due(self) -> list[Key]:
        """What is due, taken out; the earliest first."""
        now, found = self._clock(), []
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._times.get(key) == at:
                del self._times[key]
                found.append(key)
        return found

    def arm(self) -> None:
        """Wait for the earliest."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        first = self._heap[0][0] if self._heap else 0.0
        if self._cancel is not None and first == self._armed:
            return
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        if first and not self._closed:
            self._armed = first
            wait = min(LONGEST_SECONDS, max(0.0, first - self._clock()))
            self._cancel = self._later(wait, self._rung)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._closed = True
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    async def _rung(self) -> None:
        self._cancel = None
        try:
            await self._ring()
        finally:
            self.arm()
