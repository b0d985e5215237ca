"""The one stream of events: published once, numbered, seen by any number of viewers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

import msgspec

from clawd.events import Event, Missed, TextMessageContent
from clawd.ids import moment, new_id
from clawd.secrets import SHORTEST

_encoder = msgspec.json.Encoder()
_AROUND = 200
"""About how many bytes of an event are not its text."""

Clean = Callable[[bytes], bytes]
"""Takes the secrets out of what observers and viewers are shown."""


def _as_it_is(data: bytes) -> bytes:
    return data


class Published:
    """An event in its place: ``seq`` counts from 1 since the daemon started."""

    __slots__ = ("_at", "_clean", "_encoded", "event", "seq", "size")

    def __init__(self, seq: int, event: Event, clean: Clean = _as_it_is) -> None:
        self.seq = seq
        self.size = 0
        self._at = time.time_ns()
        self.event = event
        self._encoded = b""
        self._clean = clean

    @property
    def time(self) -> str:
        """When it was published; hardly anybody asks that of a piece of text."""
        return moment(self._at // 1_000_000)

    def encoded(self) -> bytes:
        """The event as one JSON object with its ``seq`` and ``time``; encoded once for all."""
        if not self._encoded:
            event = self.event
            body = _encoder.encode(event)
            # A word of a text that comes bit by bit is too short to be a secret.
            if type(event) is not TextMessageContent or len(event.content) >= SHORTEST:
                body = self._clean(body)
            self._encoded = b'{"seq":%d,"time":"%s",%s' % (self.seq, self.time.encode(), body[1:])
        return self._encoded

    def weigh(self) -> int:
        """About how many bytes it takes, remembered as ``size``."""
        event = self.event
        if type(event) is TextMessageContent:
            # Pieces of text are too many to be encoded for this, and are in no log.
            self.size = _AROUND + len(event.content)
        else:
            self.size = len(self.encoded())
        return self.size


Filter = Callable[[Event], bool]


class Observer(Protocol):
    """What must see an event before anyone else does (a log, metrics); never awaits."""

    def __call__(self, published: Published, /) -> None:
        """Take an event in its place."""
        ...


class EventStream:
    """Numbers events and hands them to observers at once and to viewers through bounded queues.

    The last ``keep`` events, of at most ``keep_bytes``, stay at hand so that a viewer that lost
    its connection can go on from where it was; one that asks for older ones is told how many it
    missed. ``epoch`` tells the numbers of this stream from those of the one before a restart.
    ``clean`` takes the secrets out of what is shown of an event; pieces of a text shorter than
    any secret stay as they are.
    """

    def __init__(
        self,
        keep: int = 4096,
        keep_bytes: int = 16 * 1024 * 1024,
        clean: Clean = _as_it_is,
    ) -> None:
        self._clean = clean
        self._recent: deque[Published] = deque()
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._bytes = 0
        self._viewers: set[Viewer] = set()
        self._observers: list[tuple[Observer, tuple[type[Event], ...]]] = []
        self._of_kind: dict[type[Event], list[Observer]] = {}
        """Who sees events of a kind: most are pieces of text, which hardly anybody looks at."""
        self._closed = False
        self.epoch = new_id("run").removeprefix("run-")
        self.seq = 0

    def observe(self, observer: Observer, *kinds: type[Event]) -> None:
        """Let ``observer`` see every event from now on, or each of ``kinds``, before any viewer."""
        self._observers.append((observer, kinds))
        self._of_kind.clear()

    def publish(self, event: Event) -> int:
        """Give the event its number and hand it on; never waits for anyone."""
        self.seq += 1
        published = Published(self.seq, event, self._clean)
        self._remember(published)
        observers = self._of_kind.get(type(event))
        if observers is None:
            observers = self._of_kind[type(event)] = [
                each for each, kinds in self._observers if not kinds or isinstance(event, kinds)
            ]
        for observer in observers:
            observer(published)
        for viewer in self._viewers:
            viewer.offer(published)
        return self.seq

    def _remember(self, published: Published) -> None:
        self._recent.append(published)
        self._bytes += published.weigh()
        while len(self._recent) > self._keep or self._bytes > self._keep_bytes:
            self._bytes -= self._recent.popleft().size

    def view(
        self, wanted: Filter | None = None, *, after: int | None = None, limit: int = 1024
    ) -> Viewer:
        """A viewer of what ``wanted`` accepts; ``after`` replays what came since that number.

        ``limit`` is how far it may fall behind, beyond what is replayed. The viewer must be
        closed (it is a context manager).
        """
        viewer = Viewer(self, wanted, limit)
        if after is not None:
            oldest = self._recent[0].seq if self._recent else self.seq + 1
            if after < oldest - 1:
                viewer.missed += oldest - 1 - after
            viewer.replay(published for published in self._recent if published.seq > after)
        self._viewers.add(viewer)
        if self._closed:
            viewer.close()
        return viewer

    def close(self) -> None:
        """Let every viewer end; one that comes later ends at once."""
        self._closed = True
        for viewer in list(self._viewers):
            viewer.close()

    def forget(self, viewer: Viewer) -> None:
        """Stop handing events to the viewer."""
        self._viewers.discard(viewer)


class Viewer:
    """One reader's bounded window on the stream; drops the oldest when it falls behind."""

    def __init__(self, stream: EventStream, wanted: Filter | None, limit: int) -> None:
        self._stream = stream
        self._wanted = wanted
        self._queue: deque[Published] = deque()
        self._limit = limit
        self._arrived = asyncio.Event()
        self._closed = False
        self.missed = 0

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the stream; a reader that waits in ``next`` ends."""
        self._closed = True
        self._stream.forget(self)
        self._arrived.set()

    def replay(self, earlier: Iterable[Published]) -> None:
        """Take what is wanted of earlier events, however many (called by the stream)."""
        self._queue += [p for p in earlier if self._wanted is None or self._wanted(p.event)]
        self._limit += len(self._queue)
        self._arrived.set()

    def offer(self, published: Published) -> None:
        """Take the event if it is wanted (called by the stream)."""
        if self._wanted is not None and not self._wanted(published.event):
            return
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self.missed += 1
        self._queue.append(published)
        self._arrived.set()

    async def next(self) -> Published | None:
        """The next event, a ``Missed`` one first where there is a gap; ``None`` once closed."""
        while True:
            if self.missed:
                count, self.missed = self.missed, 0
                before = self._queue[0].seq - 1 if self._queue else self._stream.seq
                return Published(before, Missed(count=count))
            if self._queue:
                return self._queue.popleft()
            if self._closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()

    def take(self) -> list[Published]:
        """What else has arrived, without waiting."""
        taken = [] if self.missed else list(self._queue)
        if taken:
            self._queue.clear()
        return taken

    async def __aiter__(self) -> AsyncIterator[Published]:
        while (published := await self.next()) is not None:
            yield published
