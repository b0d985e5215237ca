"""A whole daemon in this process, on a disk, asked directly instead of over its socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clawd.daemon.app import Daemon
from clawd.daemon.reload import Configuration
from clawd.events import RunFailed, RunFinished
from clawd.storage.files import make_private_folder
from clawd.stream import Published

SOUL = "You are a helpful agent. " * 40
"""1,000 bytes of identity."""


def make_home(
    home: Path, url: str, sessions: dict[str, str], *, together: int = 3, **limits: int
) -> None:
    """A home whose ``sessions`` (id to model name) talk to the endpoint.

    So many sessions ``together`` share an organization, and see each other. What would stop a
    benchmark is raised; everything else is as it comes.
    """
    template = {
        "name": "Endpoint",
        "endpoint": url,
        "apiKey": "sk-0123456789abcdef",
        "availableModels": sorted(set(sessions.values())),
        "defaultModel": next(iter(sessions.values())),
        "maxConcurrency": 1024,
    }
    entries: dict[str, Any] = {}
    for number, (name, model) in enumerate(sessions.items()):
        entries[name] = {
            "description": f"Session {number}",
            "provider": {"template": "endpoint", "model": model},
            "a2a": {"organization": f"org-{number // together}", "wakeOnMessage": False},
        }
        folder = home / "workspaces" / name
        folder.mkdir(parents=True)
        (folder / "SOUL.md").write_text(SOUL)
    raised = {"maxTurns": 1024, "maxAutonomousTurnsPerHour": 1_000_000, "sendsPerMinute": 1_000_000}
    config = {
        "providerTemplates": {"endpoint": template},
        "sessions": entries,
        "limits": raised | limits,
    }
    (home / "config.json").write_text(json.dumps(config))
    (home / "config.json").chmod(0o600)


class House:
    """The daemon, and turns run through it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._ended: dict[str, asyncio.Future[str]] = {}
        daemon.stream.observe(self._see, RunFinished, RunFailed)

    async def turn(self, session: str, text: str) -> str:
        """Prompt a session and wait for its final text."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        accepted = await self.daemon.sessions.get(session).prompt(text)
        self._ended[accepted.turn] = future
        return await future

    def _see(self, published: Published) -> None:
        event = published.event
        if isinstance(event, RunFinished) and (future := self._ended.pop(event.run_id, None)):
            future.set_result(event.final_message)
        elif isinstance(event, RunFailed) and (future := self._ended.pop(event.run_id, None)):
            future.set_exception(RuntimeError(str(event.error)))


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[House]:
    """A daemon on this home, ready; stopped at the end."""
    make_private_folder(home / "state")
    configuration = Configuration(home)
    configuration.load()
    daemon = Daemon(home, configuration, time.perf_counter())
    house = House(daemon)
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.run())
        await daemon.ready.wait()
        await daemon.models.warm()
        try:
            yield house
        finally:
            daemon.stop()
