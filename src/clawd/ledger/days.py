"""Which day it is at the home."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo


class Days:
    """Names days by the home's zone (``None``: the system's), also where clocks are changed."""

    def __init__(self, clock: Callable[[], float] = time.time, zone: tzinfo | None = None) -> None:
        self._clock = clock
        self._zone = zone
        self._today = ""
        self._from = self._until = 0.0

    def today(self) -> str:
        """The present day, as in ``2026-11-21``."""
        moment = self._clock()
        if not self._from <= moment < self._until:
            self._turn(moment)
        return self._today

    def _turn(self, moment: float) -> None:
        midnight = self._at(moment).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        day = midnight.date()
        self._today = day.isoformat()
        # A day has 23 to 25 hours, and where a zone changes at midnight none of them may be 0:00:
        # what counts is how the moment is written, so the bounds are looked for by that.
        self._from = self._first(moment - 26 * 3600, moment, self._today)
        self._until = self._first(moment, moment + 26 * 3600, (day + timedelta(1)).isoformat())

    def _first(self, low: float, high: float, day: str) -> float:
        """The first second between the two that is written as ``day`` or later."""
        low, high = int(low), int(high) + 1
        while low < high:
            middle = (low + high) // 2
            if self._at(middle).date().isoformat() >= day:
                high = middle
            else:
                low = middle + 1
        return low

    def _at(self, moment: float) -> datetime:
        if self._zone is None:
            return datetime.fromtimestamp(moment)  # noqa: DTZ006 - the system's zone is meant
        return datetime.fromtimestamp(moment, UTC).astimezone(self._zone)
