"""Servers at an address: streamable HTTP over loopback, and hosts that are something else."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.tools.mcp.conftest import House, Made

from clawd.errors import Refused
from clawd.tools.mcp.limits import LINE_BYTES, Timing

TOKEN = "tok-canary-8812ab"


@asynccontextmanager
async def serving(app: ASGIApp, port: int = 0) -> AsyncIterator[int]:
    """The port on which an application answers."""
    config = uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await server.main_loop()
        await server.shutdown()


def useful() -> tuple[MCPServer, list[dict[str, str]]]:
    """A server with some tools, and the headers of what it was asked."""
    server, headers = MCPServer("useful"), list[dict[str, str]]()

    @server.tool()
    def add(a: int, b: int, ctx: Context) -> int:
        """Add two numbers."""
        headers.append(dict(ctx.headers or {}))
        return a + b

    @server.tool()
    async def steps(ctx: Context) -> str:
        """Take steps."""
        await ctx.report_progress(1, 2, "half")
        return "there"

    return server, headers


class Older:
    """A server of the older protocol: it does not know the newer one's first question."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        asked = json.loads(body)
        if asked["method"] == "server/discover":
            error = {"code": -32601, "message": "no such method"}
            answer = JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "error": error})
            await answer(scope, receive, send)
            return

        read: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Any:
            return read.pop() if read else await receive()

        await self._app(scope, again, send)


@pytest.mark.parametrize("older", [False, True])
async def test_a_server_at_an_address_is_used_like_any(house: House, older: bool) -> None:
    """In both protocols, with the operator's headers filled in, and progress told."""
    server, headers = useful()
    app: ASGIApp = server.streamable_http_app()
    async with serving(Older(app) if older else app) as port:
        house.environ["TOKEN"] = TOKEN
        entry = {
            "url": f"http://127.0.0.1:{port}/mcp",
            "headers": {"Authorization": "Bearer ${TOKEN}"},
        }
        await house.have(x=entry)
        assert "\n42\n" in (await house.call("x__add", a=40, b=2)).text
        told: list[str] = []
        assert "there" in (await house.told("x__steps", tell=told.append)).text
        assert told == ["1 of 2: half"]
        connection = house.server().connection
        assert connection is not None
        assert connection.protocol == ("2025-11-25" if older else "2026-07-28")
        assert headers[0]["authorization"] == f"Bearer {TOKEN}"
        await house.have()


Answer = Callable[[Request], Awaitable[Response]]


def app_of(answer: Answer) -> Starlette:
    """An application that answers everything so."""
    methods = ["GET", "POST", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


async def _html(_: Request) -> Response:
    return Response("<h1>Not here</h1>", media_type="text/html")


async def _unauthorized(_: Request) -> Response:
    return JSONResponse({"error": "who are you?"}, 401)


async def _elsewhere(_: Request) -> Response:
    return RedirectResponse("http://127.0.0.2:9/mcp", 307)


async def _large(_: Request) -> Response:
    return Response(b" " * (LINE_BYTES + 100_000), media_type="application/json")


async def _bomb(_: Request) -> Response:
    body = gzip.compress(b" " * 50_000_000)
    return Response(body, media_type="application/json", headers={"content-encoding": "gzip"})


async def _error(_: Request) -> Response:
    return Response("oops", 500)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_html, "Unexpected content type: text/html"),
        (_unauthorized, "it answered HTTP 401 Unauthorized"),
        (_elsewhere, "it answered HTTP 307 Temporary Redirect"),
        (_large, "its answer has more than 4194304 bytes"),
        (_bomb, "it sent compressed content, unasked"),
        (_error, "it answered HTTP 500 Internal Server Error"),
    ],
)
async def test_an_address_where_no_server_is(make: Made, answer: Answer, words: str) -> None:
    """Each gives one notice that names the server and what came; it is tried again later."""
    house = make(Timing(start=5.0, prepare=5.0, pause=30.0))
    async with serving(app_of(answer)) as port:
        await house.have(x={"url": f"http://127.0.0.1:{port}/mcp"})
        notice = await house.notice("mcp_failed")
        assert "MCP server x: " in notice.text
        assert words in notice.text
        assert notice.text.isprintable()
        assert house.server().state == "waiting"
        await house.have()


async def test_no_header_follows_a_redirect_to_another_origin(make: Made) -> None:
    """The key is for the host that the operator wrote, and nobody else."""
    house = make(Timing(start=5.0, prepare=5.0, pause=30.0))
    asked: list[str] = []

    async def other(request: Request) -> Response:
        asked.append(str(request.headers))
        return JSONResponse({})

    async with serving(app_of(other)) as there:

        async def answer(_: Request) -> Response:
            return RedirectResponse(f"http://127.0.0.1:{there}/mcp", 307)

        async with serving(app_of(answer)) as port:
            entry = {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"X-Key": TOKEN}}
            await house.have(x=entry)
            assert "not followed" in (await house.notice("mcp_failed")).text
            await house.have()
    assert asked == []


async def test_a_server_that_is_away_comes_back_by_itself(house: House) -> None:
    """However often it was out of reach: an address is never given up."""
    server, _ = useful()
    async with serving(server.streamable_http_app()) as port:
        await house.have(x={"url": f"http://127.0.0.1:{port}/mcp"})
        assert "\n3\n" in (await house.call("x__add", a=1, b=2)).text
    with pytest.raises(Refused) as refused:
        await house.call("x__add", a=1, b=2)
    assert refused.value.code == "mcp_unavailable"
    assert f"127.0.0.1:{port}" in (await house.notice("mcp_failed")).text
    again, _ = useful()
    async with serving(again.streamable_http_app(), port):
        await house.notice("mcp_back")
        assert "\n3\n" in (await house.call("x__add", a=1, b=2)).text
        await house.have()


async def test_a_header_that_none_can_be_holds_its_server(house: House) -> None:
    """A line break in a key would be another header."""
    house.environ["TOKEN"] = f"{TOKEN}\r\nX-Admin: 1"
    await house.have(x={"url": "http://127.0.0.1:9/mcp", "headers": {"A": "${TOKEN}"}})
    notice = await house.notice("mcp_failed")
    assert "header A holds a character that none can have" in notice.text
    assert TOKEN not in notice.text
