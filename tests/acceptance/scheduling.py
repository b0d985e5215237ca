"""What the tests of schedules look at: a daemon's list of them, and the runs in a transcript."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import lines_of

JSON = dict[str, Any]
OFTEN: JSON = {"limits": {"minScheduleSeconds": 0.1, "maxAutonomousTurnsPerHour": 100_000}}
"""Schedules that come within a test's time."""


def runs_of(home: Path, session: str = "a") -> list[str]:
    """The due times of the scheduled runs that a transcript has, in order."""
    lines = lines_of(home / "workspaces" / session / "history.jsonl")
    said = [
        line["message"]["content"]
        for line in lines
        if line["type"] == "message" and line["message"]["role"] == "user"
    ]
    return [m[1] for text in said if (m := re.match(r"\[scheduled run \S+, due (\S+?),", text))]


async def one(daemon: RunningDaemon, name: str) -> JSON:
    """A schedule as the daemon shows it."""
    return await daemon.get(f"/api/schedules/{name}")


async def create(daemon: RunningDaemon, session: str = "a", **wish: Any) -> str:
    """Make one as the operator; its id."""
    made = await daemon.post("/api/schedules", session=session, **{"text": "look", **wish})
    return str(made["id"])


async def settled(daemon: RunningDaemon, name: str, wanted: Callable[[JSON], bool]) -> JSON:
    """The schedule once it is as wanted."""
    async with asyncio.timeout(25):
        while not wanted(shown := await one(daemon, name)):
            # A record is written a little after the event that it follows.
            await a_while(daemon, 0.02)
    return shown


async def a_while(daemon: RunningDaemon, seconds: float) -> None:
    """Let the daemon go on for so long."""
    with suppress(TimeoutError):
        await daemon.until(lambda _: False, seconds=seconds)


async def started(daemon: RunningDaemon, count: int = 1) -> JSON:
    """The event of the beginning of the scheduled turn of that number."""
    found: list[JSON] = []

    def counted(event: JSON) -> bool:
        if event["event"] == "run_started" and event["trigger"] == "schedule":
            found.append(event)
        return len(found) >= count

    await daemon.until(counted)
    return found[-1]
