"""MCP servers of one session, started as a daemon starts them, without the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from clawd.agent.calling import calling
from clawd.agent.tool import Answer, Tool
from clawd.agent.trust import Trust
from clawd.agent.workbench import Place, Workbench
from clawd.config.mcp import McpServer
from clawd.config.schema import SessionSettings
from clawd.daemon.supervisor import Supervisor
from clawd.events import Event, Notice
from clawd.lineage import begin
from clawd.storage.writer import Writer
from clawd.tools.mcp.limits import Timing
from clawd.tools.mcp.server import Server
from clawd.tools.mcp.toolkit import Mcp

HERE = Path(__file__).parent / "servers"
SECRET = "s3cret-value-91"
QUICK = Timing(start=20.0, prepare=20.0, back=5.0, pause=0.01, longest_pause=0.05)
JSON = dict[str, Any]


def tool(name: str, description: str = "A tool", **parameters: Any) -> JSON:
    """A tool as a server lists it."""
    schema = {"type": "object", "properties": {}, **parameters}
    return {"name": name, "description": description, "inputSchema": schema}


class House:
    """A session ``s`` and what its servers do."""

    def __init__(self, home: Path, timing: Timing, installed: Callable[[], bool]) -> None:
        self.home = home
        self.workspace = home / "workspaces" / "s"
        self.workspace.mkdir(parents=True, exist_ok=True)
        (home / "state").mkdir(exist_ok=True)
        self.notices: list[Notice] = []
        self.trust = Trust()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": "/nowhere",
            "SECRET_KEY": SECRET,
        }
        self._news = asyncio.Event()
        self._timing, self._installed = timing, installed
        self._settings = SessionSettings(id="s")
        self.open()

    def open(self) -> None:
        """As a daemon that begins."""
        self.writer, self.supervisor = Writer(), Supervisor()
        self.writer.start()
        self.kit = Mcp(
            self.home,
            self.writer,
            self.supervisor,
            self._heard,
            self.environ,
            timing=self._timing,
            installed=self._installed,
        )

    async def close(self) -> None:
        """As a daemon that ends."""
        await self.kit.close()
        assert await self.supervisor.close(5) == []
        await self.writer.close()

    async def reopen(self) -> None:
        """End and begin, with the same servers."""
        await self.close()
        self.open()
        await self.settle()

    async def have(self, **servers: JSON) -> None:
        """Let the session have these servers, as they stand in a file, and begin a turn."""
        parsed = {name: McpServer.model_validate(each) for name, each in servers.items()}
        self._settings = SessionSettings(id="s", mcp_servers=parsed)
        await self.settle()

    async def settle(self) -> None:
        """What a reload does, and the beginning of a turn."""
        await self.kit.settle([Place(self._settings, self.workspace)])
        await self.kit.prepare(self.bench())

    def bench(self) -> Workbench:
        """The caller, in the present turn."""
        return Workbench("s", self.workspace, self._settings, begin(), "turn-1", trust=self.trust)

    def tools(self) -> dict[str, Tool]:
        """The tools that the session has now."""
        return self.kit.tools(self.bench())

    async def call(self, name: str, **arguments: Any) -> Answer:
        """Call a tool as the model does."""
        return await self.tools()[name].call(arguments)

    async def told(self, name: str, *, tell: Callable[[str], object], **arguments: Any) -> Answer:
        """Call a tool, and hear of its progress."""
        with calling("call-1", tell):
            return await self.call(name, **arguments)

    def server(self, name: str = "x") -> Server:
        """A server by name."""
        return self.kit.find(name)

    def raw(self, tools: list[JSON], *ways: str) -> JSON:
        """The entry of a server that lists these tools and fails in these ways."""
        file = self.home / f"tools-{len(list(self.home.glob('tools-*')))}.json"
        file.write_text(json.dumps(tools))
        return self.python("raw.py", str(file), *ways)

    def python(self, script: str, *arguments: str, **more: Any) -> JSON:
        """The entry of a server of this folder, outside of any sandbox."""
        line = [str(HERE / script), *arguments]
        return {"command": sys.executable, "args": line, "sandbox": False, **more}

    async def notice(self, code: str) -> Notice:
        """The first notice of this code, there already or to come."""
        async with asyncio.timeout(30):
            while True:
                for notice in self.notices:
                    if notice.code == code:
                        return notice
                self._news.clear()
                await self._news.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what a notice will have made true."""
        async with asyncio.timeout(30):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def _heard(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event)
            self._news.set()


Made = Callable[..., House]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Made]:
    """Makes houses, and closes them."""
    made: list[House] = []

    def build(timing: Timing = QUICK, installed: Callable[[], bool] = lambda: True) -> House:
        made.append(House(tmp_path, timing, installed))
        return made[-1]

    yield build
    for house in made:
        await house.close()


@pytest.fixture
async def house(make: Made) -> House:
    """A session whose servers are started at once."""
    return make()
