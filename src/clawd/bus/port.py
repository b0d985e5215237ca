"""Words go down the bus: what asks a session for something, and how it gets there."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from clawd.ids import OPERATOR
from clawd.lineage import Lineage

Kind = Literal["turn", "message", "task", "schedule"]


class Envelope(msgspec.Struct, frozen=True):
    """A request to a session. It refers to what is already durable; it holds no truth itself.

    ``id`` is the turn's, message's or task's own id, and the key by which a handler knows that it
    has had this one before. ``priority`` runs from 0 to 10; ``attempt`` counts deliveries.
    """

    id: str
    kind: Kind
    to: str
    lineage: Lineage
    priority: int = 5

    @property
    def rank(self) -> tuple[int, int]:
        """What starts first: the operator's, then by priority, then by acceptance.

        Turns of the transcript are the operator's own lines, and those to go on with. That of a
        ``schedule`` is in the transcript too, and waits like what sessions ask of each other.
        """
        path = self.lineage.path
        own = self.kind == "turn" or (path and path[-1] == OPERATOR)
        return (0 if own else 1, -self.priority)


class Inbox(Protocol):
    """What waits for one session, in the order in which it is to start."""

    async def next(self) -> Envelope:
        """Wait for the first envelope and take it out."""
        ...

    def put_back(self, envelope: Envelope) -> None:
        """Put the envelope that was taken last back in its place."""
        ...

    def take_all(self, kind: Kind, trace: str) -> list[Envelope]:
        """Take out every waiting envelope of this kind and trace, in order."""
        ...

    def __len__(self) -> int: ...

    def withdraw(self, envelope_id: str) -> bool:
        """Take one out before it starts; whether it was there."""
        ...

    def waiting(self) -> list[Envelope]:
        """All that waits, in order."""
        ...


class MessageBus(Protocol):
    """Carries envelopes to inboxes by address."""

    def register(self, address: str) -> Inbox:
        """The inbox of an address, made on first call."""
        ...

    def unregister(self, address: str) -> None:
        """Close an inbox; what waited there is still in the logs it came from."""
        ...

    def publish(self, envelope: Envelope) -> bool:
        """Put the envelope into the inbox of its address; False when nobody is registered.

        A second envelope with an id that still waits there changes nothing.
        """
        ...

    def withdraw(self, address: str, envelope_id: str) -> bool:
        """Take an envelope that still waits out of an inbox; whether it was there."""
        ...
