"""Verdicts whose disk fails, or whose giver is stopped: what is stored stands, and is told once."""

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


@pytest.fixture
def home(tmp_path: Path, model: ScriptedModel) -> Path:
    """Three sessions; the first asks before it writes to anybody."""
    home = tmp_path / "home"
    home.mkdir()
    ask = {"tools": {"approval": {"send_message_to_session": "ask"}}}
    write_config(home, scripted(model.url, "a", "b", "c", a=ask))
    return home


async def written(daemon: RunningDaemon, text: bytes) -> None:
    """Wait until this stands in the file of tasks; it may still be on its way to the disk."""
    tasks = daemon.home / "state/tasks.jsonl"
    async with asyncio.timeout(BACK_SECONDS):
        while not (tasks.exists() and text in tasks.read_bytes()):
            await daemon.get("/api/status")


async def test_the_operators_verdict_stands_though_its_work_cannot_be_stopped_yet(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: the answer says what is stored; the turn that waits for a human is stopped later."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        model.script("a", [call("send_message_to_session", target_session="b", message="hi")])
        task = await daemon.post("/api/tasks", toSession="a", fromSession="c", task="work")
        await daemon.until(lambda e: e["event"] == "run_suspended")
        # The verdict is written, and what is told of it; nothing behind these.
        faulty.control.strike(3, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)
        ended = await daemon.post(f"/api/tasks/{task['id']}/complete", result="done by hand")
        assert (ended["status"], ended["result"]) == ("completed", "done by hand")
        faulty.control.rest()
        await daemon.until(
            lambda e: e["event"] == "run_failed" and e["session"] == "a", seconds=BACK_SECONDS
        )
        await daemon.idle()
        assert (await daemon.get("/api/approvals"))["items"] == []
        assert len(await daemon.verdicts(task["id"], "c")) == 1


async def test_a_verdict_whose_giver_is_paused_is_given(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: paused while its verdict is stored, a worker has ended its task, and says no other.

    The creator hears of it while the worker is still paused, and once.
    """
    slow = shim(home)
    async with RunningDaemon(home, environ=slow.environ) as daemon:
        gate = model.hold("b")
        task = await daemon.post("/api/tasks", toSession="b", fromSession="c", task="pay")
        await gate.reached()
        model.script(
            "b", [call("complete_async_task", task_id=task["id"], result="paid"), say("or not")]
        )
        slow.control["delay"] = 500_000
        gate.open()
        await written(daemon, b'"paid"')
        await daemon.post("/api/pause", session="b")
        slow.control.rest()
        async with asyncio.timeout(BACK_SECONDS):
            (told,) = await daemon.verdicts(task["id"], "c")
        assert "paid" in told["content"]
        await daemon.until(
            lambda e: e["event"] == "task_updated" and e["task"]["status"] == "completed"
        )
        await daemon.post("/api/resume", session="b")
        await daemon.idle()
        await daemon.stop()
        await daemon.start()
        ended = await daemon.task(task["id"])
        assert (ended["status"], ended.get("result")) == ("completed", "paid")
        assert len(await daemon.verdicts(task["id"], "c")) == 1
    assert len(model.of("b")) == 1


async def test_a_start_that_a_pause_cuts_off_is_not_counted(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: paused while its start is stored, a task has been started once when it is done."""
    slow = shim(home)
    async with RunningDaemon(home, environ=slow.environ) as daemon:
        await daemon.say("b", "warm")
        slow.control["delay"] = 500_000
        task = await daemon.post("/api/tasks", toSession="b", task="work")
        await written(daemon, b'"processing"')
        await daemon.post("/api/pause", session="b")
        slow.control.rest()
        await daemon.post("/api/resume", session="b")
        ended = await daemon.task(task["id"])
        assert (ended["status"], ended["attempt"]) == ("completed", 1)


def refuse_late(shim: Shim) -> None:
    """What is written next stands on its way to the disk for a while, and is then refused."""
    shim.control.strike(1, Mode.ERROR, errno.ENOSPC, kinds=Kind.SYNC)
    shim.control["delay"] = 1_500_000


async def test_nobody_is_told_of_a_verdict_that_the_disk_refuses(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: who waits for the task, or says the same once more, hears what was stored at last."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.post("/api/pause")
        task = await daemon.post("/api/tasks", toSession="b", fromSession="c", task="pay")
        complete = f"/api/tasks/{task['id']}/complete"
        refuse_late(faulty)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(daemon.raw("POST", complete, json={"result": "paid"}))
            await written(daemon, b'"paid"')
            waiting = group.create_task(daemon.get(f"/api/tasks/{task['id']}", wait=4))
            second = group.create_task(daemon.raw("POST", complete, json={"result": "paid"}))
            assert (await first).status_code == 507
            faulty.control.rest()
        assert second.result().status_code == 200
        assert waiting.result()["status"] == "completed"
        assert len(await daemon.verdicts(task["id"], "c")) == 1
        await daemon.kill()
        await daemon.start()
        assert (await daemon.get(f"/api/tasks/{task['id']}"))["status"] == "completed"


async def test_a_deadline_outlives_a_verdict_that_the_disk_refuses(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: it passes while a verdict is written, which is then refused: it ends the task."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.post("/api/pause")
        task = await daemon.post("/api/tasks", toSession="b", task="pay", deadlineSeconds=1)
        refuse_late(faulty)
        complete = f"/api/tasks/{task['id']}/complete"
        refused = await daemon.raw("POST", complete, json={"result": "paid"})
        assert refused.status_code == 507
        faulty.control.rest()
        ended = await daemon.task(task["id"], seconds=5 + BACK_SECONDS)
        assert (ended["status"], ended.get("reason")) == ("failed", "deadline")
