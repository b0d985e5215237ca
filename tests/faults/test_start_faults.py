"""Starts on a disk that takes nothing: the daemon serves, and does what is due once it can."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel

BACK_SECONDS = 5.0
"""A disk that has room again is noticed within this."""


def fill(faulty: Shim) -> None:
    """From now on the disk takes nothing."""
    faulty.control.strike(1, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)


@pytest.fixture
def home(tmp_path: Path, model: ScriptedModel) -> Path:
    """Two sessions."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a", "b"))
    return home


async def test_a_task_of_a_removed_session_ends_once_the_disk_has_room(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: its session left config.json meanwhile: the daemon starts, and ends it a bit later."""
    faulty = shim(home / "state")
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.post("/api/pause")
        task = await daemon.post("/api/tasks", toSession="b", task="work")
        await daemon.stop()
        write_config(home, scripted(model.url, "a"))
        fill(faulty)
        await daemon.start()
        assert faulty.control["fired"]
        faulty.control.rest()
        async with asyncio.timeout(BACK_SECONDS):
            ended = await daemon.task(task["id"])
        assert (ended["status"], ended["reason"]) == ("failed", "session_removed")


@pytest.mark.parametrize("what", ["message", "task"])
async def test_what_is_over_keeps_no_daemon_from_starting(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim], what: str
) -> None:
    """R03: mail that expires, tasks that are forgotten: both can wait for room on the disk."""
    faulty = shim(home / "state")
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.post("/api/pause")
        if what == "message":
            await daemon.post("/api/messages", to="a", content="soon", ttlSeconds=0.1)
        else:
            task = await daemon.post("/api/tasks", toSession="a", task="work")
            await daemon.post("/api/tasks", toSession="a", task="more")
            await daemon.post(f"/api/tasks/{task['id']}/cancel")
            config = scripted(model.url, "a", "b", retention={"tasksHours": 0.000_001})
            write_config(home, config)
        fill(faulty)
        await daemon.stop()
        await daemon.start()
        assert faulty.control["fired"]
        faulty.control.rest()
        await daemon.post("/api/resume")
        assert await daemon.say("b", "hello")
