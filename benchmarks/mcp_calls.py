"""What a call of an MCP server's tool costs through clawd, beside the bare client, in one run.

Both speak to a server of their own of the same script, over pipes; the floor is ``mcp.Client`` as
its documentation shows it. In a call of clawd's are the check of the arguments, the limit of time,
the bounds on the server's output, the fence around its answer. Prints a Markdown table; medians.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from mcp import Client, StdioServerParameters
from report import percentile, processors, ratio, size, table

from clawd.agent.workbench import Place, Workbench
from clawd.config.mcp import McpServer
from clawd.config.schema import SessionSettings
from clawd.daemon.supervisor import Supervisor
from clawd.lineage import begin
from clawd.storage.writer import Writer
from clawd.tools.mcp.toolkit import Mcp

ROUNDS = size(300, 3)
SERVER = """
from mcp.server import MCPServer

server = MCPServer("echo")


@server.tool()
def echo(text: str) -> str:
    "Say it again."
    return text


server.run("stdio")
"""
Call = Callable[[str], Awaitable[object]]


async def taken(call: Call, text: str, at_once: int) -> tuple[float, float]:
    """Wall and CPU seconds of so many calls side by side, a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(_awaited(call, text))
    return (time.perf_counter() - wall) / at_once, (time.process_time() - cpu) / at_once


async def _awaited(call: Call, text: str) -> None:
    await call(text)


async def measure(bare: Call, through: Call) -> str:
    """The table of both, in turns."""
    rows = []
    cases = [
        ("10 bytes", 10, 1),
        ("10 KB", 10_000, 1),
        ("500 KB", 500_000, 1),
        ("20 at once", 10, 20),
    ]
    for name, length, at_once in cases:
        text = "x" * length
        rounds = ROUNDS if length < 100_000 else max(ROUNDS // 10, 1)
        found: dict[str, list[tuple[float, float]]] = {"bare": [], "clawd": []}
        for _ in range(rounds):
            for side, call in (("bare", bare), ("clawd", through)):
                found[side].append(await taken(call, text, at_once))
        walls = {side: [wall for wall, _ in times] for side, times in found.items()}
        cpus = {side: statistics.median(cpu for _, cpu in times) for side, times in found.items()}
        rows.append(
            [
                name,
                *(f"{statistics.median(walls[side]) * 1000:.2f}" for side in ("bare", "clawd")),
                f"{percentile(walls['clawd'], 0.95) * 1000:.2f}",
                f"{ratio(walls['clawd'], walls['bare']):.2f}",
                *(f"{cpus[side] * 1000:.2f}" for side in ("bare", "clawd")),
            ]
        )
    head = ("a call that echoes", "bare client, ms", "clawd, ms", "clawd, 95 %, ms", "clawd / bare",
            "bare, CPU ms", "clawd, CPU ms")  # fmt: skip
    return table(head, rows)


async def main(root: Path) -> None:
    """Start both sides, and measure."""
    script = root / "server.py"
    script.write_text(SERVER)
    workspace = root / "workspaces" / "s"
    workspace.mkdir(parents=True)
    (root / "state").mkdir()
    writer, supervisor = Writer(), Supervisor()
    writer.start()
    kit = Mcp(root, writer, supervisor, lambda _: None, os.environ)
    entry = {"command": sys.executable, "args": [str(script)], "sandbox": False}
    settings = SessionSettings(id="s", mcp_servers={"x": McpServer.model_validate(entry)})
    bench = Workbench("s", workspace, settings, begin(), "turn-1")
    began = time.perf_counter()
    await kit.settle([Place(settings, workspace)])
    await kit.find("x").tried()
    print(f"{processors()}; medians of {ROUNDS}; ready {time.perf_counter() - began:.2f} s after "
          "the start, most of it the server's own.\n")  # fmt: skip
    tool = kit.tools(bench)["x__echo"]
    server = StdioServerParameters(command=sys.executable, args=[str(script)])
    async with Client(server) as client:
        await client.list_tools()
        print(
            await measure(
                lambda text: client.call_tool("echo", {"text": text}),
                lambda text: tool.call({"text": text}),
            )
        )
    await kit.close()
    await supervisor.close(5)
    await writer.close()


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=where, prefix=".mcp-benchmark-") as folder:
        asyncio.run(main(Path(folder).resolve()))
