"""How old records are, however the clock is set while the daemon runs."""

from __future__ import annotations

import time

from clawd.ids import seconds_of, steady

_AMISS_SECONDS = 1.0


class Ages:
    """The ages of records by id: from their timestamps, and where the clock was set, from memory.

    A time in the future, from before a start with another clock, counts as now.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def stamped(self, record_id: str) -> None:
        """The record gets its timestamp right now."""
        if abs(time.time() - steady()) > _AMISS_SECONDS:
            self._since[record_id] = steady()

    def of(self, record_id: str, stamp: str) -> float:
        """Seconds since the record with this timestamp got it."""
        since = self._since.get(record_id)
        age = steady() - (seconds_of(stamp) if since is None else since)
        if age < 0:
            self._since[record_id] = steady()
        return max(0.0, age)

    def forget(self, record_id: str) -> None:
        """The record is gone."""
        self._since.pop(record_id, None)
