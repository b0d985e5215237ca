"""The stream of events as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clawd.errors import Invalid
from clawd.events import Notice
from clawd.gateway.house import House
from clawd.gateway.wire import word
from clawd.ids import OPERATOR
from clawd.stream import EventStream, Filter, Published

KEEP_ALIVE_SECONDS = 15.0


class EventRoutes:
    """Watching the stream."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The one route."""
        return [Route("/api/events", self.events, methods=["GET"])]

    async def events(self, request: Request) -> Response:
        """Events from now on, or after a number; one session's, or all."""
        session = word(request, "session")
        if session is not None and session != OPERATOR:
            self._house.sessions.get(session)
        stream = self._house.stream
        after = self._after(request)
        headers = {"Cache-Control": "no-store", "X-Clawd-Seq": str(stream.seq)}
        lines = _lines(stream, _wanted(session), stream.seq if after is None else after)
        return StreamingResponse(lines, media_type="text/event-stream", headers=headers)

    def _after(self, request: Request) -> int | None:
        """The number to go on after: a bare one, or an id as it was sent."""
        # A client that connects again sends its first request's query once more: the header is
        # the newer of the two.
        text = request.headers.get("last-event-id") or word(request, "after")
        if text is None:
            return None
        digits, _, epoch = text.partition("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            raise Invalid(
                "invalid_query",
                f"after must be a number of an event, not {text[:40]!a}",
                hint="send the number, or the id, of the last event that you have seen",
            )
        # What was seen before a restart says nothing of this daemon's events: all are news.
        known = epoch in ("", self._house.stream.epoch)
        number = int(digits)
        return number if known and number <= self._house.stream.seq else 0


def _wanted(session: str | None) -> Filter | None:
    if session is None:
        return None
    return lambda event: (
        event.session == session or (isinstance(event, Notice) and not event.session)
    )


async def _lines(stream: EventStream, wanted: Filter | None, after: int) -> AsyncIterator[bytes]:
    """The events as lines; ends when the daemon stops, so that it can."""
    epoch = stream.epoch
    # Opened here, not with the request: a client that is gone by now leaves no viewer behind.
    with stream.view(wanted, after=after) as viewer:
        yield b": clawd\n\n"
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    published = await viewer.next()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if published is None:
                return
            arrived = (published, *viewer.take())
            yield b"".join(_frame(each, epoch) for each in arrived)


def _frame(published: Published, epoch: str) -> bytes:
    name = str(published.event.__struct_config__.tag)
    return b"id: %d-%s\nevent: %s\ndata: %s\n\n" % (
        published.seq,
        epoch.encode(),
        name.encode(),
        published.encoded(),
    )
