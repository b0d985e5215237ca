"""F17: the clock jumps while the daemon runs, and while it does not."""

from __future__ import annotations

import asyncio
import glob
import os
import time
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ledger import Figures

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import ScriptedModel

JSON = dict[str, Any]
LIMIT = 3.0
JUMPS = ("-2h", "+30h", "-2h", "+0")


class Clock:
    """The time of day of a daemon, to be set at will; what measures durations stays as it is."""

    def __init__(self, place: Path) -> None:
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            pytest.skip("no libfaketime (scripts/faults installs it)")
        self._file = place / "clock"
        self.environ = {
            "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set("+0")

    def set(self, offset: str) -> None:
        """Set it, by so much before or behind the true time."""
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(f"{offset}\n", encoding="ascii")
        os.replace(unfinished, self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock."""
    return Clock(tmp_path)


@pytest.fixture
def home(tmp_path: Path, model: ScriptedModel) -> Path:
    """A home with a session that works and one that is not woken."""
    folder = tmp_path / "home"
    folder.mkdir()
    quiet = {"a2a": {"wakeOnMessage": False}}
    write_config(folder, scripted(model.url, "worker", "quiet", quiet=quiet))
    return folder


async def seconds_until(daemon: RunningDaemon, began: float, **wanted: str) -> float:
    """When, after ``began``, a message or task reached this state."""
    (kind, state), *_ = wanted.items()
    await daemon.until(
        lambda e: (
            e.get(kind, {}).get("state", e.get(kind, {}).get("status")) == state
            and e[kind].get("ttlSeconds", e[kind].get("deadline")) is not None
        )
    )
    return time.monotonic() - began


@pytest.mark.faults
@pytest.mark.parametrize("offset", ["-2h", "+30h"])
async def test_limits_of_time_hold_when_the_clock_jumps(
    home: Path, clock: Clock, model: ScriptedModel, offset: str, figures: Figures
) -> None:
    """F17: what expires and what has a deadline does so after its seconds, within one."""
    async with RunningDaemon(home, environ=clock.environ) as daemon:
        # The first turn of a daemon loads what talks to models.
        await daemon.say("worker", "hello")
        gate = model.hold("worker")
        began = time.monotonic()
        await daemon.post("/api/messages", to="quiet", content="x", ttlSeconds=LIMIT)
        await daemon.post("/api/tasks", toSession="worker", task="x", deadlineSeconds=LIMIT)
        await gate.reached()
        clock.set(offset)
        async with asyncio.TaskGroup() as group:
            expired = group.create_task(seconds_until(daemon, began, message="expired"))
            failed = group.create_task(seconds_until(daemon, began, task="failed"))
        gate.open()
        took = [expired.result(), failed.result()]
        after = time.monotonic()
        sent = await daemon.post("/api/messages", to="quiet", content="y", ttlSeconds=LIMIT)
        assert sent["state"] == "stored"
        await daemon.until(
            lambda e: (
                e.get("message", {}).get("id") == sent["id"]
                and e["message"].get("state") == "expired"
            )
        )
        took.append(time.monotonic() - after)
    figures(limit=f"{LIMIT:g} s", took=", ".join(f"{seconds:.2f} s" for seconds in took))
    assert all(LIMIT - 0.1 <= seconds <= LIMIT + 1 for seconds in took), took


@pytest.mark.faults
async def test_order_and_retention_hold_when_the_clock_jumps(
    home: Path, clock: Clock, figures: Figures
) -> None:
    """F17: ids are unique and sort as they came, over kills too; no ended task is dropped early."""
    sent: list[str] = []
    ended: list[str] = []
    daemon = RunningDaemon(home, environ=clock.environ)
    await daemon.start()
    for offset in JUMPS:
        for _ in range(2):
            answers = [
                await daemon.post("/api/messages", to="quiet", content=f"{len(sent) + n}")
                for n in range(20)
            ]
            sent += [answer["id"] for answer in answers]
            task = await daemon.post(
                "/api/tasks", toSession="operator", fromSession="quiet", task="x"
            )
            await daemon.post(f"/api/tasks/{task['id']}/complete", result="done")
            ended.append(task["id"])
            clock.set(offset)
            listed = (await daemon.get("/api/tasks", limit=1000))["items"]
            assert [t["id"] for t in listed] == ended, offset
        if offset.startswith("-"):
            await daemon.kill()
            await daemon.start()
    shown = (await daemon.get("/api/messages", session="quiet", limit=1000))["items"]
    await daemon.stop()
    on_disk = [m["id"] for m in latest(home / "workspaces/quiet/session_messages.jsonl")]
    own = [message["id"] for message in shown if message["id"] in set(sent)]
    figures(messages=len(sent), jumps=len(JUMPS), kills=2)
    assert sent == sorted(set(sent)) == own
    assert [i for i in on_disk if i in set(sent)] == sent
