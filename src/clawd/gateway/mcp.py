"""The routes of MCP servers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.errors import Invalid, NotFound
from clawd.gateway.house import House
from clawd.gateway.wire import Fields, listing, one, read_body, word
from clawd.tools.mcp.server import Server
from clawd.tools.mcp.telling import server_json
from clawd.tools.mcp.toolkit import Mcp


class Approving(Fields):
    """The tools that are approved of: fingerprints by the name that sessions call, as shown."""

    tools: dict[str, str]


class McpRoutes:
    """What can be asked of the servers of all sessions, and said about them."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        return [
            Route("/api/mcp", self.servers, methods=["GET"]),
            Route("/api/mcp/{server}", self.server, methods=["GET"]),
            Route("/api/mcp/{server}/approve", self.approve, methods=["POST"]),
            Route("/api/mcp/{server}/restart", self.restart, methods=["POST"]),
        ]

    async def servers(self, request: Request) -> Response:
        """Every server with the state of its tools; ``session`` for those of one alone."""
        session = word(request, "session")
        found = [s for s in self._mcp().all() if session in (None, s.session)]
        return listing("mcp", [server_json(server) for server in found])

    async def server(self, request: Request) -> Response:
        """One with what its tools say of themselves; ``session`` when several have one."""
        return one("mcpServer", server_json(self._named(request), whole=True))

    async def approve(self, request: Request) -> Response:
        """Offer held tools from now on."""
        server = self._named(request)
        wanted = (await read_body(request, Approving)).tools
        if not wanted:
            raise Invalid("no_tools", "no tool is named", hint='such as {"tools": {"name": "…"}}')
        await server.approve(wanted)
        return one("mcpServer", server_json(server))

    async def restart(self, request: Request) -> Response:
        """Start it anew, also when it is parked; answered at once."""
        server = self._named(request)
        server.restart()
        return one("mcpServer", server_json(server))

    def _named(self, request: Request) -> Server:
        return self._mcp().find(request.path_params["server"], word(request, "session") or "")

    def _mcp(self) -> Mcp:
        found = self._house.part(Mcp)
        if found is None:
            raise NotFound("no_mcp", "this daemon was built without MCP")
        return found
