"""The routes of traces: what one cause led to, across sessions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.gateway.house import House
from clawd.gateway.wire import listing, one, whole

MOST_STEPS = 100_000


class TraceRoutes:
    """What can be asked of traces."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        return [
            Route("/api/traces", self.list_some, methods=["GET"]),
            Route("/api/traces/{id}", self.show, methods=["GET"]),
        ]

    async def list_some(self, request: Request) -> Response:
        """The traces that moved last, the latest last."""
        limit = whole(request, "limit", 20) or 0
        return listing("traces", self._house.tracing.recent(limit) if limit else [])

    async def show(self, request: Request) -> Response:
        """One trace with its steps."""
        limit = min(whole(request, "limit", 5_000) or 0, MOST_STEPS)
        return one("trace", await self._house.tracing.show(request.path_params["id"], limit))
