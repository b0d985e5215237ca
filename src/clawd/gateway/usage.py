"""The route of what was used."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.gateway.house import House
from clawd.gateway.wire import choice, json_response, whole, word
from clawd.ledger.report import AXES, first_day, standing, summed


class UsageRoutes:
    """What can be asked of the ledger."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        return [Route("/api/usage", self.usage, methods=["GET"])]

    async def usage(self, request: Request) -> Response:
        """Tokens and cost along one axis, with the sum of all and the limits of the day."""
        by = choice(request, "by", AXES) or "day"
        ledger = self._house.ledger
        since = first_day(word(request, "since"), ledger.today)
        items, total = summed(await ledger.records(), by, since)
        limit = whole(request, "limit", 1000) or 0
        # The end of what is sorted by time is the latest, its beginning of what is by size.
        shown = items[-limit:] if by in ("day", "trace") else items[:limit]
        body = {
            "schema": "clawd.usage/1",
            "by": by,
            "since": since or None,
            "today": ledger.today,
            "items": shown if limit else [],
            "leftOut": len(items) - len(shown) if limit else len(items),
            "total": total,
            "limits": standing(ledger, [session.id for session in self._house.sessions.all()]),
            "next": None,
        }
        return json_response(body)
