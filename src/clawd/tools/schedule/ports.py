"""What schedules need of the daemon: turns to begin, and the operator's inbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from clawd.lineage import Lineage
from clawd.messages import JSON

Later = Callable[[float, Callable[[], Awaitable[object]]], Callable[[], None]]
"""Runs something after so many seconds; what it returns cancels that."""


class End(Protocol):
    """How a turn ended."""

    @property
    def status(self) -> str:
        """``finished``, ``failed`` or ``cancelled``."""
        ...

    @property
    def text(self) -> str:
        """Its final text."""
        ...

    @property
    def error(self) -> JSON | None:
        """The error object of one that failed."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a turn ended, as the stream told it."""

    status: str
    text: str = ""
    error: JSON | None = None


class Turns(Protocol):
    """The sessions, as far as schedules ask them for turns."""

    def standing(self, session: str) -> str:
        """What the session is doing: idle, busy, paused, failed or disabled."""
        ...

    async def begin(
        self, session: str, turn: str, source: str, text: str, lineage: Lineage
    ) -> None:
        """Make a turn of this id durable and let it wait for its place; once, however often asked.

        ``Refused`` when the session is parked, ``StorageError`` when the disk refuses.
        """
        ...

    def is_open(self, session: str, turn: str) -> bool:
        """Whether the turn waits or runs."""
        ...

    async def ended(self, session: str, turn: str) -> End | None:
        """How the turn ended; ``None`` for one that is open, or was never begun."""
        ...


class Inbox(Protocol):
    """The operator's mail, as far as heartbeats write it."""

    async def tell(self, session: str, turn: str, lineage: Lineage, text: str) -> str:
        """Put a message of this session there; its id. One for a turn, however often asked."""
        ...

    def unread(self, message: str) -> bool:
        """Whether the operator has not read this message yet."""
        ...

    def says(self, message: str, text: str) -> bool:
        """Whether this message has just this text."""
        ...
