"""The bus within one process."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from clawd.bus.port import Envelope, Kind


class MemoryInbox:
    """A priority queue of envelopes; equal ranks keep the order of acceptance."""

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[int, int], int, Envelope]] = []
        self._ids: set[str] = set()
        self._taken: tuple[tuple[int, int], int, Envelope] | None = None
        self._count = itertools.count()
        self._arrived = asyncio.Event()

    def put(self, envelope: Envelope) -> None:
        """Add an envelope, unless one with its id waits already."""
        if envelope.id in self._ids:
            return
        self._ids.add(envelope.id)
        heapq.heappush(self._heap, (envelope.rank, next(self._count), envelope))
        self._arrived.set()

    async def next(self) -> Envelope:
        """Wait for the first envelope and take it out."""
        while not self._heap:
            self._arrived.clear()
            await self._arrived.wait()
        self._taken = heapq.heappop(self._heap)
        envelope = self._taken[2]
        self._ids.discard(envelope.id)
        return envelope

    def put_back(self, envelope: Envelope) -> None:
        """Put the envelope that was taken last back in its place."""
        if self._taken is None or self._taken[2] is not envelope:
            self.put(envelope)
        elif envelope.id not in self._ids:
            self._ids.add(envelope.id)
            heapq.heappush(self._heap, self._taken)
            self._arrived.set()

    def take_all(self, kind: Kind, trace: str) -> list[Envelope]:
        """Take out every waiting envelope of this kind and trace, in order."""
        asked = [e for e in self._heap if e[2].kind == kind and e[2].lineage.trace == trace]
        if not asked:
            return []
        taken = [entry[2] for entry in sorted(asked, key=lambda entry: entry[:2])]
        gone = {envelope.id for envelope in taken}
        self._ids -= gone
        self._heap = [entry for entry in self._heap if entry[2].id not in gone]
        heapq.heapify(self._heap)
        return taken

    def withdraw(self, envelope_id: str) -> bool:
        """Take one out before it starts; whether it was there."""
        if envelope_id not in self._ids:
            return False
        self._ids.discard(envelope_id)
        self._heap = [entry for entry in self._heap if entry[2].id != envelope_id]
        heapq.heapify(self._heap)
        return True

    def waiting(self) -> list[Envelope]:
        """All that waits, in order."""
        return [entry[2] for entry in sorted(self._heap, key=lambda entry: entry[:2])]

    def __len__(self) -> int:
        return len(self._heap)


class MemoryBus:
    """Inboxes by address."""

    def __init__(self) -> None:
        self._inboxes: dict[str, MemoryInbox] = {}

    def register(self, address: str) -> MemoryInbox:
        """The inbox of an address, made on first call."""
        return self._inboxes.setdefault(address, MemoryInbox())

    def unregister(self, address: str) -> None:
        """Close an inbox; what waited there is still in the logs it came from."""
        self._inboxes.pop(address, None)

    def publish(self, envelope: Envelope) -> bool:
        """Put the envelope into the inbox of its address; False when nobody is registered."""
        inbox = self._inboxes.get(envelope.to)
        if inbox is None:
            return False
        inbox.put(envelope)
        return True

    def withdraw(self, address: str, envelope_id: str) -> bool:
        """Take an envelope that still waits out of an inbox; whether it was there."""
        inbox = self._inboxes.get(address)
        return inbox is not None and inbox.withdraw(envelope_id)
