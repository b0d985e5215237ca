"""The stream of events as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clawd.errors import Invalid
from clawd.events import Event, Notice
from clawd.gateway.house import House
from clawd.gateway.wire import word
from clawd.ids import OPERATOR
from clawd.stream import Published, Viewer

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
        viewer = self._house.stream.view(_wanted(session), after=self._after(request))
        headers = {"Cache-Control": "no-store", "X-Clawd-Seq": str(self._house.stream.seq)}
        return StreamingResponse(_lines(viewer), media_type="text/event-stream", headers=headers)

    def _after(self, request: Request) -> int | None:
        text = word(request, "after") or request.headers.get("last-event-id")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise Invalid("invalid_query", f"after must be a number of an event, not {text[:40]!a}")
        # A number from before a restart is beyond this daemon's count: then everything is news.
        return int(text) if int(text) <= self._house.stream.seq else 0


def _wanted(session: str | None) -> Callable[[Event], bool] | None:
    if session is None:
        return None
    return lambda event: (
        event.session == session or (isinstance(event, Notice) and not event.session)
    )


async def _lines(viewer: Viewer) -> AsyncIterator[bytes]:
    """The events as lines; ends when the daemon stops, so that it can."""
    with viewer:
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
            yield _frame(published) + b"".join(_frame(more) for more in viewer.take())


def _frame(published: Published) -> bytes:
    name = str(published.event.__struct_config__.tag)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (published.seq, name.encode(), published.encoded())
