"""What happened within the last minute or hour, by who did it; goes on after a restart."""

from __future__ import annotations

import time
from collections import deque

from clawd.errors import Invalid
from clawd.ids import seconds_of

_MANY = 256
"""So many names are no reason to look for those that nothing is known of any more."""


class Window:
    """Moments of the last ``seconds``, by name. A clock that is set does not move them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moments: dict[str, deque[float]] = {}
        self._many = _MANY

    def count(self, name: str) -> int:
        """How many there were lately."""
        return len(self._recent(name))

    def add(self, name: str) -> None:
        """One more, now."""
        self._moments.setdefault(name, deque()).append(time.monotonic())
        if len(self._moments) > self._many:
            for each in list(self._moments):
                self._recent(each)
            self._many = max(_MANY, 2 * len(self._moments))

    def sweep(self) -> None:
        """Forget the names of which there is nothing lately."""
        for name in list(self._moments):
            self._recent(name)

    def restore(self, name: str, at: str, now: float) -> None:
        """One from a log, at this time of the clock, which shows ``now`` (Unix seconds).

        One from the future, by a clock that was set back since, counts as one of now.
        """
        try:
            ago = max(0.0, now - seconds_of(at))
        except Invalid:
            return
        if ago < self._seconds:
            moments = self._recent(name)
            moments.append(time.monotonic() - ago)
            self._moments[name] = deque(sorted(moments))

    def _recent(self, name: str) -> deque[float]:
        moments = self._moments.get(name, deque())
        oldest = time.monotonic() - self._seconds
        while moments and moments[0] < oldest:
            moments.popleft()
        if not moments:
            self._moments.pop(name, None)
        return moments
