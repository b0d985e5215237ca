"""What calls back later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class Clock(Protocol):
    """Calls back later; the daemon's supervisor owns what then runs."""

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> object:
        """Run ``what`` after so many seconds."""
        ...
