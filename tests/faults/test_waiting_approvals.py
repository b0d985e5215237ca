"""What waits for a human while the disk fails: its time runs out all the same, its turn goes on."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.shim import Kind, Mode, Shim

from clawd.ids import seconds_of
from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call, say

SECONDS = 1.5


def full(faulty: Shim, at: int = 1) -> None:
    """From this write on there is no room."""
    faulty.control.strike(at, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)


async def parked(daemon: RunningDaemon) -> dict[str, object]:
    """What waits, once its turn stands still."""
    await daemon.until(lambda e: e["event"] == "run_suspended")
    (waiting,) = (await daemon.get("/api/approvals"))["items"]
    return dict(waiting)


async def become(true: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_one_expires_once_the_disk_takes_it(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """Its time ran out while the disk was full: with room again it is a no within seconds."""
    home = tmp_path / "home"
    home.mkdir()
    tools = {"approvalHours": SECONDS / 3600}
    write_config(home, scripted(model.url, "a", a={"tools": tools}))
    faulty = shim(home)
    model.script("a", [call("ask_user", question="Which?"), say("went on")])
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        turn = await daemon.prompt("a", "go")
        over = seconds_of(str((await parked(daemon))["expiresAt"]))
        full(faulty)
        await become(lambda: time.time() > over + 0.2 and faulty.control["fired"] > 0)
        faulty.control.rest()
        began = time.monotonic()
        assert await daemon.ended(turn) == "went on"
        assert time.monotonic() - began < 6
        (question,) = (await daemon.get("/api/approvals", state="all"))["items"]
    assert question["state"] == "expired"


@pytest.mark.parametrize("at", [2, 3])
async def test_an_answer_counts_once_the_disk_takes_it(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], at: int
) -> None:
    """A creator's answer is stored, what follows is not: it is tried again, with pauses."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a", "b"))
    faulty = shim(home)
    model.script("b", [call("ask_user", question="How many?"), say("three done")])
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        made = await daemon.tool("a", "delegate_task_async", target_session="b", task="make some")
        await parked(daemon)
        # Its creator was told of the question, and may write of that first.
        await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "a")
        await daemon.idle()
        full(faulty, at)
        answer = {"target_session": "b", "message": "three", "thread_id": made["taskId"]}
        sent = await daemon.tool("a", "send_message_to_session", **answer)
        assert "id" in sent, sent
        await become(lambda: faulty.control["fired"] > 0)
        with pytest.raises(TimeoutError):
            await daemon.until(
                lambda e: e["event"] == "run_finished" and e["session"] == "b", seconds=1
            )
        assert faulty.control["fired"] < 20
        faulty.control.rest()
        assert (await daemon.task(made["taskId"]))["result"] == "three done"
        await daemon.until(
            lambda e: (
                e["event"] == "session_message"
                and e["message"]["id"] == sent["id"]
                and e["message"]["read"]
            )
        )
        await daemon.idle()
    assert len(model.of("b")) == 2, "it is no mail for a turn of its own"


async def test_one_that_is_asked_while_its_session_is_paused_is_asked_once(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """The pause comes while it is being stored: no second one, then or after a restart."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a"))
    slow = shim(home)
    model.script("a", [call("ask_user", question="Which?"), say("went on")])
    async with RunningDaemon(home, environ=slow.environ) as daemon:
        gate = model.hold("a")
        turn = await daemon.prompt("a", "go")
        await gate.reached()
        slow.control["delay"] = 600_000
        gate.open()
        await daemon.until(lambda e: e["event"] == "tool_call_start")
        await become((home / "state/approvals.jsonl").exists)
        await daemon.post("/api/pause", session="a")
        slow.control.rest()
        await daemon.post("/api/resume", session="a")
        await daemon.idle()
        (question,) = (await daemon.get("/api/approvals"))["items"]
        await daemon.stop()
        await daemon.start()
        assert [a["id"] for a in (await daemon.get("/api/approvals"))["items"]] == [question["id"]]
        await daemon.post(f"/api/approvals/{question['id']}", decision="answer", answer="this")
        assert await daemon.ended(turn) == "went on"
