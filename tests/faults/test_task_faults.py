"""Tasks whose disk fails or is slow: each ends once, its creator is told, its worker stops."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call, say

BACK_SECONDS = 5.0
"""A disk that has room again is noticed within this."""
RUDE = Path(__file__).with_name("rude")
"""Sessions that crash, for a daemon that has this on its path."""


@pytest.fixture
def home(tmp_path: Path, model: ScriptedModel) -> Path:
    """Three sessions."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a", "b", "c"))
    return home


def fill(faulty: Shim, at: int = 1) -> None:
    """From this write on the disk is full."""
    faulty.control.strike(at, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)


async def test_a_verdict_is_told_and_ends_what_was_made_for_it(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: stored, and nothing after it: one verdict, and no part is worked on any more."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        gate = model.hold("b")
        model.script("a", [call("delegate_task_async", target_session="b", task="part"), say("")])
        whole = await daemon.post("/api/tasks", toSession="a", fromSession="c", task="whole")
        await gate.reached()
        await daemon.idle("a")
        (part,) = [t for t in (await daemon.get("/api/tasks"))["items"] if t["toSession"] == "b"]
        fill(faulty, 2)
        ended = await daemon.post(f"/api/tasks/{whole['id']}/complete", result="done")
        assert ended["status"] == "completed"
        faulty.control.rest()
        async with asyncio.timeout(BACK_SECONDS):
            assert len(await daemon.verdicts(whole["id"], "c")) == 1
            ended = await daemon.task(part["id"])
        assert (ended["status"], ended["reason"]) == (
            "cancelled", "the task that it was for has ended",
        )  # fmt: skip
        await daemon.until(lambda e: e["event"] == "run_failed" and e["session"] == "b")
        gate.open()
        await daemon.idle()
        assert len(await daemon.verdicts(whole["id"], "c")) == 1


async def test_what_depends_on_a_failed_task_is_given_and_ends(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: stored, and found hopeless while the disk is full: accepted once, and failed later."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.post("/api/pause")
        first = await daemon.post("/api/tasks", toSession="b", fromSession="c", task="first")
        await daemon.post(f"/api/tasks/{first['id']}/cancel")
        fill(faulty, 2)
        second = await daemon.post(
            "/api/tasks", toSession="b", fromSession="c", task="then", dependsOn=[first["id"]]
        )
        faulty.control.rest()
        async with asyncio.timeout(BACK_SECONDS):
            ended = await daemon.task(second["id"])
        assert (ended["status"], ended["reason"]) == ("failed", "dependency")
        assert len(await daemon.verdicts(second["id"], "c")) == 1
        assert len((await daemon.get("/api/tasks"))["items"]) == 2


async def test_a_deadline_outlives_a_full_disk(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: it passes while nothing can be stored, and ends the task when something can."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.say("a", "load the client of models")
        gate = model.hold("a")
        task = await daemon.post("/api/tasks", toSession="a", task="work", deadlineSeconds=2)
        await gate.reached()
        fill(faulty)
        # Struck: it has passed, for the turn that works on the task stands still.
        async with asyncio.timeout(BACK_SECONDS):
            while not faulty.control["fired"]:
                await daemon.get("/api/status")
        faulty.control.rest()
        async with asyncio.timeout(BACK_SECONDS):
            ended = await daemon.task(task["id"])
            assert (ended["status"], ended["reason"]) == ("failed", "deadline")
            await daemon.until(lambda e: e["event"] == "run_failed" and e["session"] == "a")
        gate.open()


async def test_a_task_whose_giver_is_paused_is_there_and_done_once(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: paused while it is stored, a turn has given the task, and a restart adds none."""
    slow = shim(home)
    async with RunningDaemon(home, environ=slow.environ) as daemon:
        model.script("a", [call("delegate_task_async", target_session="b", task="pay the bill")])
        gate = model.hold("a")
        await daemon.prompt("a", "go")
        await gate.reached()
        slow.control["delay"] = 1_000_000
        gate.open()
        tasks = home / "state/tasks.jsonl"
        async with asyncio.timeout(BACK_SECONDS):
            # Written, and on its way to the disk.
            while not (tasks.exists() and b"pay the bill" in tasks.read_bytes()):
                await daemon.get("/api/status")
        await daemon.post("/api/pause", session="a")
        slow.control.rest()
        await daemon.post("/api/resume", session="a")
        await daemon.idle()
        (task,) = (await daemon.get("/api/tasks"))["items"]
        assert (await daemon.task(task["id"]))["status"] == "completed"
        await daemon.idle()
        await daemon.stop()
        await daemon.start()
        await daemon.idle()
        assert [t["id"] for t in (await daemon.get("/api/tasks"))["items"]] == [task["id"]]
    assert len(model.of("b")) == 1


async def test_the_task_of_a_session_that_is_given_up_ends_once_the_disk_takes_that(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: it crashes three times, and whoever waits for its task is told once there is room."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a", "ending"))
    faulty = shim(home)
    board, aside = home / "state/tasks.jsonl", home / "state/aside"
    async with RunningDaemon(home, environ=faulty.environ | {"PYTHONPATH": str(RUDE)}) as daemon:
        task = await daemon.post("/api/tasks", toSession="ending", fromSession="a", task="crash")
        async with asyncio.timeout(BACK_SECONDS):
            while (await daemon.get(f"/api/tasks/{task['id']}"))["attempt"] < 2:
                pass
        faulty.control["delay"] = 300_000
        async with asyncio.timeout(BACK_SECONDS):
            while '"attempt":3' not in board.read_text():
                await daemon.get("/api/sessions")
        board.rename(aside)
        board.mkdir()
        faulty.control.rest()
        await daemon.until(lambda e: e.get("code") == "session_failed")
        async with asyncio.timeout(BACK_SECONDS):
            while (await daemon.get(f"/api/tasks/{task['id']}"))["status"] != "processing":
                pass
        board.rmdir()
        aside.rename(board)
        async with asyncio.timeout(BACK_SECONDS):
            ended = await daemon.task(task["id"])
        assert (ended["status"], ended["reason"]) == ("failed", "session_failed")
        assert len(await daemon.verdicts(task["id"], "a")) == 1
