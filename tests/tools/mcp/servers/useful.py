"""A server as people write them, with the official package; it speaks both protocols."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("useful")
PIXEL = bytes.fromhex("89504e470d0a1a0a")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
def fail(text: str) -> str:
    """Fail with these words."""
    raise ToolError(text)


@server.tool()
def picture() -> Image:
    """A picture."""
    return Image(data=PIXEL, format="png")


@server.tool()
def facts() -> dict[str, Any]:
    """Facts as an object."""
    return {"one": 1, "two": [2, "zwei"]}


@server.tool()
def surroundings(path: str = "") -> dict[str, Any]:
    """What the server sees."""
    found = {"environment": dict(os.environ), "folder": os.getcwd(), "pid": os.getpid()}
    return found | ({"there": Path(path).exists()} if path else {})


@server.tool()
async def slow(seconds: float, ctx: Context, mark: str = "") -> str:
    """Take some time, tell how far it is, and note in a file when it is cancelled."""
    try:
        for step in range(3):
            await ctx.report_progress(step + 1, 3, f"step {step + 1}")
            await asyncio.sleep(seconds / 3)
    except asyncio.CancelledError:
        if mark:
            Path(mark).write_text("cancelled")  # noqa: ASYNC240 - a test's own file
        raise
    return "done"


@server.tool()
async def grow(ctx: Context) -> str:
    """Get one more tool."""

    def more() -> str:
        """One more."""
        return "more"

    server.add_tool(more)
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return "grown"


if __name__ == "__main__":
    sys.exit(server.run("stdio"))
