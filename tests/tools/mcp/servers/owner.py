"""A daemon in little, to be killed: ``owner.py HOME yes|no`` starts a server that ignores its end.

Prints ``ready`` and the ids of what it has started, and waits.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.tools.mcp.conftest import QUICK, House
from tests.tools.mcp.test_sandbox import PYTHON, SEEN

CODE = "import time; time.sleep(600)"


def below(parent: str) -> list[str]:
    """The ids of all children of a process, and of theirs."""
    found: list[str] = []
    waiting = [parent]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
            new = (task / "children").read_text().split()
            found += new
            waiting += new
    return found


def line_of(pid: str) -> str:
    """The command line of a process, with a NUL after each word."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


async def main() -> None:
    """Start the server, say so, and wait to be killed."""
    house = House(Path(sys.argv[1]), QUICK, lambda: True)
    sandbox = sys.argv[2] == "yes"
    entry = {"command": PYTHON, "args": ["-c", CODE], "sandbox": sandbox}
    async with asyncio.TaskGroup() as group:
        group.create_task(house.have(x=entry | ({"readable": SEEN} if sandbox else {})))
        while True:
            pids = below("self")
            lines = [line_of(pid) for pid in pids]
            # bubblewrap and its child have the whole of the line as well: the last one is it.
            if any(line == f"{PYTHON}\0-c\0{CODE}\0" for line in lines):
                break
            await asyncio.sleep(0.02)
        sys.stdout.write(f"ready {' '.join(pids)}\n")
        sys.stdout.flush()
        await asyncio.sleep(600)


asyncio.run(main())
