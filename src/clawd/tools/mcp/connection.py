"""One connection to a server, from its start to its end, in the task that owns it."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from mcp import Client
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from clawd import __version__
from clawd.agent.calling import progress as tell
from clawd.agent.tool import Answer
from clawd.config.keys import origin
from clawd.errors import Refused
from clawd.fences import quoted
from clawd.messages import JSON
from clawd.tools.mcp.counted import Counted
from clawd.tools.mcp.http import address
from clawd.tools.mcp.launch import Address, Command
from clawd.tools.mcp.limits import MOST_LISTED
from clawd.tools.mcp.offers import Listed
from clawd.tools.mcp.problems import ServerProblem, problem_of
from clawd.tools.mcp.process import process
from clawd.tools.mcp.results import answer
from clawd.tools.mcp.unseen import without_unseen
from clawd.tools.mcp.watch import Watch

_PAGES = 100
_PROGRESS_SECONDS = 0.2
_PROGRESS_CHARACTERS = 200
_AGAIN_SECONDS = 5.0
_ENDED = ("Connection closed", "SSE stream ")
"""How the client's own words begin where no answer can come any more.

The code does not tell: -32000 is also what many servers answer any failure with.
"""
_RELIST_SECONDS = 0.5
_RESULT: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


@dataclass(slots=True)
class Opening:
    """What a connection is opened with, and whom it tells."""

    plan: Command | Address
    seconds: float
    """From the start to the list of tools, and for each later list."""
    legacy: bool
    """Whether to begin with the older handshake: some servers die of a question they don't know."""
    ready: Callable[[Connection, list[Listed]], Awaitable[None]]
    changed: Callable[[Connection, list[Listed]], Awaitable[None]]
    """Is told of each later list: the server answers."""
    stopper: Callable[[Callable[[], None]], object]
    """Is given what ends the connection from outside."""
    watch: Watch = field(default_factory=Watch)


class Changed:
    """Whether the server said that its tools changed."""

    def __init__(self) -> None:
        self.event = anyio.Event()

    async def __call__(self, message: Any) -> None:
        """Look at what the server tells."""
        if isinstance(message, types.ToolListChangedNotification):
            self.event.set()


class Connection:
    """A server that answers."""

    def __init__(self, client: Client, changed: Changed) -> None:
        self._client = client
        self._changed = changed
        self.protocol = client.protocol_version
        info = client.server_info
        self.title = f"{info.name} {info.version}"[:120] if info else ""

    async def call(self, server: str, tool: str, arguments: JSON) -> Answer:
        """Call a tool; when this is cancelled, the server is told.

        ``Refused`` with what went wrong. Not by the client's own ``call_tool``: that matches the
        result against patterns of the server, which can be made to take for ever.
        """
        request = types.CallToolRequest(
            params=types.CallToolRequestParams(name=tool, arguments=arguments)
        )
        try:
            result = await self._client.session.send_request(
                request, _RESULT, progress_callback=_Progress()
            )
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED and error.message.startswith(_ENDED):
                # Whether it goes all the same is found out by asking it for its tools.
                self._changed.event.set()
                raise Refused(
                    "mcp_unavailable", f"the MCP server {server!r} ended during the call"
                ) from None
            raise Refused(
                "mcp_error", f"the MCP server {server!r} refuses: {quoted(str(error), 2000)}"
            ) from None
        except (ValidationError, ValueError, RuntimeError, anyio.ClosedResourceError) as error:
            raise Refused(
                "mcp_bad_answer",
                f"the MCP server {server!r} answered with what is no result: "
                f"{quoted(str(error), 300)}",
            ) from None
        if isinstance(result, types.InputRequiredResult):
            raise Refused(
                "mcp_asks", f"{tool} of the MCP server {server!r} asks for what clawd does not give"
            )
        return answer(server, tool, result)

    async def tools(self) -> list[Listed]:
        """All tools that the server lists, or as many as are looked at."""
        found: list[Listed] = []
        if self._client.server_capabilities.tools is None:
            return found
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            found += [
                Listed(tool.name, tool.description or "", tool.input_schema) for tool in page.tools
            ]
            cursor = page.next_cursor
            if cursor is None or len(found) > MOST_LISTED:
                break
        return found[: MOST_LISTED + 1]

    async def changes(self, seconds: float) -> None:
        """Hear of changes as servers of the newer protocol tell them, for as long as they do.

        ``seconds`` bound how long one may take to begin.
        """
        listed = self._client.server_capabilities.tools
        modern = self.protocol in MODERN_PROTOCOL_VERSIONS
        while modern and listed is not None and listed.list_changed:
            try:
                with anyio.CancelScope(deadline=anyio.current_time() + seconds) as scope:
                    async with self._client.listen(tools_list_changed=True) as news:
                        scope.deadline = math.inf
                        # What changed before it listened is told to nobody.
                        self._changed.event.set()
                        async for _ in news:
                            self._changed.event.set()
            except (MCPError, SubscriptionLost):
                pass  # what came meanwhile is missed: look again, a little later
            await anyio.sleep(_AGAIN_SECONDS)
            self._changed.event.set()


async def connect(opening: Opening) -> None:
    """Keep a connection until it is stopped; ``ServerProblem`` says why it ended otherwise."""
    began = False
    changed = Changed()
    scope = anyio.CancelScope(deadline=anyio.current_time() + opening.seconds)
    opening.stopper(scope.cancel)
    try:
        with scope:
            async with _client(opening, changed) as client:
                connection = Connection(client, changed)
                listed = await connection.tools()
                scope.deadline = math.inf
                began = True
                await opening.ready(connection, listed)
                await _keep(connection, changed, opening)
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        raise _explained(error, opening) from error
    if not began and anyio.current_time() >= scope.deadline:
        raise ServerProblem(_silence(opening))


def _client(opening: Opening, changed: Changed) -> Client:
    plan, watch = opening.plan, opening.watch
    transport: Any = process(plan, watch) if isinstance(plan, Command) else address(plan, watch)
    return Client(
        Counted(transport, watch),
        mode="legacy" if opening.legacy else "auto",
        message_handler=changed,
        client_info=types.Implementation(name="clawd", version=__version__),
        cache=None,
    )


async def _keep(connection: Connection, changed: Changed, opening: Opening) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(connection.changes, opening.seconds)
        while True:
            await changed.event.wait()
            # Who says so a hundred times is asked once.
            await anyio.sleep(_RELIST_SECONDS)
            changed.event = anyio.Event()
            with anyio.move_on_after(opening.seconds) as scope:
                listed = await connection.tools()
            if scope.cancelled_caught:
                raise ServerProblem(f"it did not list its tools within {opening.seconds:g} s")
            await opening.changed(connection, listed)


class _Progress:
    """Tells the call that runs how far it is, some times a second at most."""

    def __init__(self) -> None:
        self._context = copy_context()
        self._told = 0.0

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        now = time.monotonic()
        if now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        text = f"{progress:g} of {total:g}" if total else f"{progress:g}"
        if message:
            text += f": {' '.join(without_unseen(message).split())[:_PROGRESS_CHARACTERS]}"
        self._context.run(tell, text)


def _explained(error: Exception, opening: Opening) -> ServerProblem:
    text, plan = str(problem_of(error)), opening.plan
    if opening.watch.status and opening.watch.status not in text:
        text = f"it answered {opening.watch.status}; {text}"
    # Of the address without what follows the host: there may be a key in it.
    return ServerProblem(f"{origin(plan.url)}: {text}" if isinstance(plan, Address) else text)


def _silence(opening: Opening) -> str:
    watch = opening.watch
    text = f"it did not answer within {opening.seconds:g} s"
    if watch.noise:
        text += f"; what it wrote to stdout is not MCP: {watch.noise}"
    elif last := watch.last_line():
        text += f"; its last words: {last}"
    return text
