"""The application of the one edge. Other protocols' routes enter here, beside the local API."""

from __future__ import annotations

import logging
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from clawd.errors import ClawdError, Invalid, NotFound
from clawd.gateway.approvals import ApprovalRoutes
from clawd.gateway.control import ControlRoutes
from clawd.gateway.events import EventRoutes
from clawd.gateway.explain import ExplainRoutes
from clawd.gateway.house import House
from clawd.gateway.mcp import McpRoutes
from clawd.gateway.memory import MemoryRoutes
from clawd.gateway.messages import MessageRoutes
from clawd.gateway.redaction import Redaction
from clawd.gateway.schedules import ScheduleRoutes
from clawd.gateway.sessions import SessionRoutes
from clawd.gateway.skills import SkillRoutes
from clawd.gateway.tasks import TaskRoutes
from clawd.gateway.traces import TraceRoutes
from clawd.gateway.usage import UsageRoutes
from clawd.gateway.wire import error_response

log = logging.getLogger("clawd.gateway")


def create_app(house: House) -> Starlette:
    """The local API over a daemon."""
    nouns = (
        SessionRoutes(house),
        MessageRoutes(house),
        TaskRoutes(house),
        UsageRoutes(house),
        ControlRoutes(house),
        ExplainRoutes(house),
        EventRoutes(house),
        TraceRoutes(house),
        ApprovalRoutes(house),
        SkillRoutes(house),
        ScheduleRoutes(house),
        MemoryRoutes(house),
        McpRoutes(house),
    )
    return Starlette(
        routes=[route for noun in nouns for route in noun.routes()],
        middleware=[Middleware(Redaction, clean=house.redactor.clean)],
        exception_handlers={ClawdError: _refused, HTTPException: _http, Exception: _failed},
    )


async def _refused(_: Request, error: Exception) -> Response:
    return error_response(cast("ClawdError", error))


async def _http(request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error)
    if status.status_code == 404:
        return error_response(
            NotFound(
                "unknown_route",
                f"there is nothing at {request.url.path[:200]}",
                hint="see docs/api.md",
            )
        )
    known = Invalid("http_error", str(status.detail))
    response = error_response(known)
    response.status_code = status.status_code
    return response


async def _failed(_: Request, error: Exception) -> Response:
    log.error("a request failed: %s", error, exc_info=error)
    return error_response(
        ClawdError("internal_error", f"{type(error).__name__}", hint="see clawd logs")
    )
