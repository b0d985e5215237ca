"""Sessions that are stopped, restarted or paused while the disk fails them: nothing runs twice."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ledger import Aftermath
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import Gate, ScriptedModel, call, fail, hang, say, slow

Faulty = Callable[[Path], Shim]
STOP_SECONDS = 5.0
"""Half of what a part may take that does not stop when it is told to."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    place = tmp_path / "home"
    place.mkdir()
    return place


def full(shim: Shim) -> None:
    """From now on the disk takes nothing."""
    shim.control.strike(1, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)


def turns(home: Path) -> dict[str, str]:
    """The turns of session a by id, each with its state on disk."""
    lines = latest(home / "workspaces/a/history.jsonl")
    return {line["id"]: line["status"] for line in lines if line["type"] == "turn"}


@pytest.mark.parametrize("said", ["nothing", "half"])
async def test_a_session_stops_also_when_that_cannot_be_stored(
    home: Path, model: ScriptedModel, shim: Faulty, said: str
) -> None:
    """R03: restarted on a full disk, it is let go at once, and one alone serves after that."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        model.script("a", [hang() if said == "nothing" else slow("one two", Gate()), say("done")])
        turn = await daemon.prompt("a", "go")
        if said == "half":
            await daemon.until(lambda e: e["event"] == "text_message_content")
        await model.until(lambda: model.at_once["a"] == 1)
        full(faulty)
        async with asyncio.timeout(STOP_SECONDS):
            await daemon.post("/api/sessions/a/restart")
        faulty.control.rest()
        assert await daemon.ended(turn) == "done"
        await daemon.idle()
        assert len(model.of("a")) == 2
        assert turns(home) == {turn: "finished"}
    assert Aftermath(home).spoken["go"] == 1


@pytest.mark.parametrize("start", ["line", "message", "task"])
async def test_a_stop_that_a_stop_of_the_daemon_cuts_off_is_kept(
    home: Path, model: ScriptedModel, shim: Faulty, start: str
) -> None:
    """R03: SIGTERM comes while the end of a stopped turn is written; it does not go on later."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        model.script("a", [hang()])
        if start == "line":
            await daemon.prompt("a", "go")
        elif start == "message":
            await daemon.post("/api/messages", to="a", content="go")
        else:
            await daemon.post("/api/tasks", toSession="a", task="go")
        await model.until(lambda: model.at_once["a"] == 1)
        faulty.control["delay"] = 500_000
        assert (await daemon.post("/api/sessions/a/cancel"))["cancelled"]
        await model.until(lambda: model.at_once["a"] == 0)
        assert await daemon.stop() == 0
        faulty.control.rest()
        await daemon.start()
        await daemon.idle()
        assert list(turns(home).values()) == ["cancelled"]
        assert len(model.of("a")) == 1
        if start == "message":
            (kept,) = (await daemon.get("/api/messages", session="a"))["items"]
            assert kept["read"]
        if start == "task":
            (task,) = (await daemon.get("/api/tasks"))["items"]
            assert task["status"] == "cancelled"


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_an_end_that_a_restart_cuts_off_is_told(
    home: Path, model: ScriptedModel, shim: Faulty, end: str
) -> None:
    """R03: restarted while the end of a turn is written, whoever waits for that turn is told."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        gate = model.hold("a")
        if end == "failed":
            model.script("a", [fail(401)])
        turn = await daemon.prompt("a", "go")
        await gate.reached()
        faulty.control["delay"] = 1_000_000
        if end == "failed":
            gate.open()
        else:
            await daemon.post("/api/sessions/a/cancel")
        async with asyncio.timeout(STOP_SECONDS):  # written, and not on the disk yet
            while turns(home)[turn] != end:
                await daemon.get("/api/sessions")
        await daemon.post("/api/sessions/a/restart")
        faulty.control.rest()
        gate.open()
        told = await daemon.until(
            lambda e: e["event"] == "run_failed" and e["run_id"] == turn, seconds=STOP_SECONDS
        )
        wanted = "cancelled" if end == "cancelled" else "provider_auth"
        assert told["error"]["error"] == wanted
        assert turns(home)[turn] == end
        assert await daemon.say("a", "and now?") == "ok"


async def test_a_pause_stops_what_is_about_to_begin(
    home: Path, model: ScriptedModel, shim: Faulty
) -> None:
    """R03: paused while it looks what to begin, a session begins it once it goes on."""
    write_config(home, scripted(model.url, "a", "b"))
    faulty = shim(home)
    ask: dict[str, Any] = {"target_session": "b", "message": "question?", "wait_seconds": 30}
    tell = {"target_session": "a", "message": "and one thing more"}
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        # The answer has entered the turn, and is not read yet when that is stopped for good.
        model.script("a", [call("send_message_to_session", **ask), hang()])
        model.script("b", [call("send_message_to_session", **tell | {"message": "the answer"})])
        gate = model.hold("b")
        turn = await daemon.prompt("a", "ask b")
        await gate.reached()
        after = model.hold("b")
        model.script("b", [call("send_message_to_session", **tell), say("done")])
        gate.open()
        await after.reached()
        await model.until(lambda: len(model.of("a")) == 2 and model.at_once["a"] == 1)
        await daemon.post("/api/pause", session="a")
        await daemon.post("/api/sessions/a/cancel", turn=turn)
        after.open()
        await daemon.idle("b")
        assert await queue(daemon) == 2
        faulty.control["delay"] = 500_000
        await daemon.post("/api/resume", session="a")
        async with asyncio.timeout(STOP_SECONDS):
            while await queue(daemon) != 1:
                pass
        await daemon.post("/api/pause", session="a")
        faulty.control.rest()
        await daemon.until(read_by_a("the answer"))
        assert (await queue(daemon), len(model.of("a"))) == (1, 2)
        await daemon.post("/api/resume", session="a")
        await daemon.until(read_by_a("and one thing more"))
        assert len(model.of("a")) == 3


async def queue(daemon: RunningDaemon) -> int:
    """How many requests wait for session a."""
    return int((await daemon.get("/api/sessions/a"))["queue"])


def read_by_a(content: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an event says that this message has been read."""
    return lambda e: (
        e["event"] == "session_message"
        and (e["session"], e["message"]["content"]) == ("a", content)
        and e["message"]["read"]
    )
