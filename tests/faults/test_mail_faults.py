"""Mail whose disk fails, and answers whose asker is stopped: all of it comes, and comes once."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call, say


def fill(faulty: Shim, at: int = 1) -> None:
    """From this write on the disk is full."""
    faulty.control.strike(at, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)


@pytest.fixture
def home(tmp_path: Path, model: ScriptedModel) -> Path:
    """Two sessions."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a", "b"))
    return home


async def test_an_answer_is_read_though_its_asker_was_paused(
    tmp_path: Path, model: ScriptedModel
) -> None:
    """R03: answered while no turn may run yet, and paused then: the answer comes as a message."""
    write_config(tmp_path, scripted(model.url, "a", "b", "c", limits={"maxTurns": 1}))
    async with RunningDaemon(tmp_path) as daemon:
        asked, other = model.hold("b"), model.hold("c")
        question = {"target_session": "b", "message": "?", "wait_seconds": 60}
        model.script("a", [call("send_message_to_session", **question), say("went on")])
        model.script("b", [say("the answer")])
        await daemon.prompt("a", "ask b")
        await asked.reached()
        # The next in the queue for the only slot; the one who asked comes behind it.
        await daemon.prompt("c", "long work")
        asked.open()
        await other.reached()
        stored = await daemon.until(
            lambda e: e["event"] == "session_message" and e["message"]["content"] == "the answer"
        )
        await daemon.post("/api/pause", session="a")
        await daemon.post("/api/resume", session="a")
        other.open()
        await daemon.until(
            lambda e: (
                e["event"] == "session_message"
                and e["message"]["id"] == stored["message"]["id"]
                and e["message"]["read"]
            )
        )
        await daemon.idle()
        said = [str(r.messages[-1]["content"]) for r in model.of("a")]
        assert sum("the answer" in text for text in said) == 1


async def test_a_reply_that_is_stored_is_sent(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: what it answers cannot be marked yet: the reply is there once, the mark comes later."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.post("/api/pause")
        asked = await daemon.post("/api/messages", to="b", content="?", **{"from": "a"})
        fill(faulty, 2)
        reply = {"to": "a", "content": "!", "replyTo": asked["id"], "from": "b"}
        sent = await daemon.post("/api/messages", **reply)
        faulty.control.rest()
        await daemon.until(
            lambda e: (
                e["event"] == "session_message"
                and e["message"]["id"] == asked["id"]
                and e["message"].get("state") == "answered"
            ),
            seconds=5,
        )
        mail = (await daemon.get("/api/messages", session="a"))["items"]
        assert [message["id"] for message in mail] == [sent["id"]]


async def test_an_acknowledgement_sends_one_receipt(
    home: Path, model: ScriptedModel, shim: Callable[[Path], Shim]
) -> None:
    """R03: whichever of its writes fails, the next attempt sends what is missing, and no more."""
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.post("/api/pause")
        for at in (1, 2, 3):
            sent = await daemon.post("/api/messages", to="b", content=f"{at}", **{"from": "a"})
            fill(faulty, at)
            answer = await daemon.tool(
                "b", "acknowledge_message", message_id=sent["id"], note="seen"
            )
            assert answer["error"] == "storage_full"
            faulty.control.rest()
            for _ in range(2):
                await daemon.tool("b", "acknowledge_message", message_id=sent["id"], note="seen")
            mail = (await daemon.get("/api/messages", session="a"))["items"]
            receipts = [m["type"] for m in mail if m.get("replyTo") == sent["id"]]
            assert receipts == ["receipt"]
            (read,) = (await daemon.get("/api/messages", session="b", limit=1))["items"]
            assert read["note"] == "seen"
