"""What a command costs in the sandbox, beside the same one bare, and what a flood does to the loop.

    python benchmarks/exec.py [FOLDER]

``true`` as often as is shown, the kinds interleaved: started by asyncio with nothing around it (the
floor), through bubblewrap with the daemon's own arguments, and as the tool ``exec``, from its
arguments to its answer, with the sandbox and without. Prints Markdown tables; medians.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from report import percentile, processors, ratio, size, table

from clawd.agent.tool import Answer, bind
from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings
from clawd.lineage import begin
from clawd.sandbox.command import environment, sandboxed
from clawd.sandbox.workspace import workspace_view
from clawd.tools.exec.background import Background
from clawd.tools.exec.tools import ExecTools

ROUNDS = size(200, 2)
FLOODS = {
    "64 MiB and the end, by `yes`": "yes",
    "a fork bomb, for 2 s": ":(){ :|:& };:; sleep 60",
}
Run = Callable[[], Awaitable[object]]


async def plain(line: Sequence[str], environ: dict[str, str]) -> None:
    """One process, from its start to its end."""
    process = await asyncio.create_subprocess_exec(
        *line, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environ
    )
    await process.wait()


def session(home: Path, sandbox: str) -> Callable[..., Awaitable[Answer]]:
    """``exec`` of a session whose commands run so."""
    data = {"id": "ada", "tools": {"exec": True, "execSandbox": sandbox}}
    settings = SessionSettings.model_validate(data)
    bench = Workbench("ada", home / "workspaces/ada", settings, begin(), "turn-1")
    group = asyncio.get_running_loop()
    tools = ExecTools(home, [], Background(lambda name, work: group.create_task(work)), bench)
    tool = bind(tools)["exec"]

    async def call(command: str, **more: float) -> Answer:
        return await tool.call({"command": command, **more})

    return call


async def starts(home: Path) -> None:
    """The table of ``true``."""
    workspace = home / "workspaces/ada"
    environ = environment(os.environ, workspace)
    view = workspace_view(workspace, home)
    confined, bare = session(home, "bubblewrap"), session(home, "none")
    kinds: dict[str, Run] = {
        "`true`, bare (floor)": lambda: plain(["true"], environ),
        "`sh -c true`, bare": lambda: plain(["/bin/sh", "-c", "true"], environ),
        "`true` through bubblewrap": lambda: plain(sandboxed(["true"], view), environ),
        "`exec` without a sandbox": lambda: bare("true"),
        "`exec`": lambda: confined("true"),
    }
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, run in kinds.items():
            began = time.perf_counter()
            await run()
            taken[name].append(time.perf_counter() - began)
    floor = next(iter(taken.values()))
    rows = [
        [
            name,
            f"{statistics.median(times) * 1000:.1f}",
            f"{percentile(times, 0.95) * 1000:.1f}",
            f"{ratio(times, floor):.1f}",
        ]
        for name, times in taken.items()
    ]
    print(table(["one command", "ms", "95 %, ms", "of the floor"], rows))


async def floods(home: Path) -> None:
    """How late the loop's timer is at worst while a command does its worst."""
    confined = session(home, "bubblewrap")
    rows = []
    for name, command in FLOODS.items():
        late: list[float] = []

        async def beat(late: list[float] = late) -> None:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.005)
                late.append(time.perf_counter() - began - 0.005)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(beat())
            await confined(command, timeout_seconds=2.0)
            beating.cancel()
        took = time.perf_counter() - began
        cells = [f"{percentile(late, 0.95) * 1000:.1f}", f"{max(late) * 1000:.1f}"]
        rows.append([name, f"{took:.2f}", *cells])
    print(table(["while a command writes or forks", "s", "late by, 95 %, ms", "at most, ms"], rows))


async def main(folder: Path) -> None:
    """Both tables."""
    print(f"{processors()}; medians of {ROUNDS}\n")
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        (home / "workspaces/ada").mkdir(parents=True)
        await starts(home)
        print()
        await floods(home)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
