"""Schedules whose session is paused while they are being stored: they run at their time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.scheduling import OFTEN, a_while, runs_of, settled
from tests.faults.shim import Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel, call, say


@pytest.mark.parametrize("name", ["schedule_create", "schedule_update"])
async def test_it_runs_once_at_its_time(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], name: str
) -> None:
    """What came to disk as its turn was cut off is in force, without a restart."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a", a=OFTEN))
    slow = shim(home)
    file = home / "workspaces/a/schedules.jsonl"
    wish: dict[str, Any] = {"text": "look", "once": "in 1 hour"}
    model.script("a", [call("schedule_create", **wish), say("made")])
    async with RunningDaemon(home, environ=slow.environ) as daemon:
        await daemon.say("a", "make one")
        (known,) = lines_of(file)
        wish = {"text": "do it", "once": "in 2 seconds"}
        if name == "schedule_update":
            wish["schedule_id"] = known["id"]
        gate = model.hold("a")
        model.script("a", [call(name, **wish), say("cut")])
        await daemon.prompt("a", "go")
        await gate.reached()
        slow.control["delay"] = 600_000
        gate.open()
        async with asyncio.timeout(10):
            while len(file.read_bytes().splitlines()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await daemon.post("/api/pause", session="a")
        slow.control.rest()
        cut = lines_of(file)[-1]
        assert cut["text"] == "do it"
        await daemon.post("/api/resume", session="a")
        done = await settled(daemon, cut["id"], lambda shown: shown["state"] == "done")
        assert done["runs"] == 1
        await a_while(daemon, 0.5)
        await daemon.idle()
    assert len(runs_of(home)) == 1
