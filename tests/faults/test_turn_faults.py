"""Turns that are begun, stopped or withdrawn while the disk fails: no word is lost, none twice."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.ledger import Aftermath
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import ScriptedModel, call, say

Faulty = Callable[[Path], Shim]


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


def storage_notices(daemon: RunningDaemon) -> int:
    """How often a turn was said to wait for the disk."""
    return sum(e.get("code") == "storage" for e in daemon.named("notice"))


@pytest.mark.parametrize("mode", ["queue", "steer"])
async def test_a_line_whose_withdrawal_is_refused_runs(
    home: Path, model: ScriptedModel, shim: Faulty, mode: str
) -> None:
    """R03: told that it is not cancelled, one finds that it is not: the line is heard, once."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        gate = model.hold("a")
        model.script("a", [call("list_agents")])
        first = await daemon.prompt("a", "first")
        await gate.reached()
        second = await daemon.prompt("a", "second", mode=mode)
        full(faulty)
        with pytest.raises(ApiError) as refused:
            await daemon.post("/api/sessions/a/cancel", turn=second)
        assert refused.value.http == 507
        faulty.control.rest()
        gate.open()
        await daemon.ended(first)
        await daemon.idle()
        assert turns(home)[second] == ("finished" if mode == "queue" else "steered")
    assert Aftermath(home).spoken["second"] == 1


async def test_a_line_whose_withdrawal_was_refused_can_be_withdrawn(
    home: Path, model: ScriptedModel, shim: Faulty
) -> None:
    """R03: once the disk has room, the same word withdraws it."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        gate = model.hold("a")
        await daemon.prompt("a", "first")
        await gate.reached()
        second = await daemon.prompt("a", "second")
        full(faulty)
        with pytest.raises(ApiError):
            await daemon.post("/api/sessions/a/cancel", turn=second)
        faulty.control.rest()
        await daemon.post("/api/sessions/a/cancel", turn=second)
        gate.open()
        await daemon.idle()
        assert turns(home)[second] == "cancelled"
    assert Aftermath(home).spoken["second"] == 0


@pytest.mark.parametrize("start", ["line", "message", "task"])
async def test_a_stop_is_kept_until_it_is_stored(
    home: Path, model: ScriptedModel, shim: Faulty, start: str
) -> None:
    """R03: a turn that was stopped on a full disk asks the model nothing more."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        gate = model.hold("a")
        model.script("a", [call("list_agents"), say("went on")])
        task = ""
        if start == "line":
            await daemon.prompt("a", "go")
        elif start == "message":
            await daemon.post("/api/messages", to="a", content="go")
        else:
            task = (await daemon.post("/api/tasks", toSession="a", task="go"))["id"]
        await gate.reached()
        full(faulty)
        assert (await daemon.post("/api/sessions/a/cancel"))["cancelled"]
        await daemon.until(lambda e: e.get("code") == "storage")
        faulty.control.rest()
        await daemon.until(
            lambda e: e["event"] == "run_failed" and e["error"]["error"] == "cancelled"
        )
        await daemon.idle()
        assert list(turns(home).values()) == ["cancelled"]
        assert len(model.of("a")) == 1
        if task:
            assert (await daemon.get(f"/api/tasks/{task}"))["status"] == "cancelled"
        if start == "message":
            (kept,) = (await daemon.get("/api/messages", session="a"))["items"]
            assert kept["read"]


async def test_what_a_pause_cuts_off_is_begun_once(
    home: Path, model: ScriptedModel, shim: Faulty
) -> None:
    """R03: paused while the beginning of its turn is written, a message has one turn all the same.

    So it is after a restart, too.
    """
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        await daemon.say("a", "warm")
        faulty.control["delay"] = 700_000
        sent = await daemon.post("/api/messages", to="a", content="do it once")
        # What is sent is on disk, and its turn begins: that is being written when this is asked.
        await busy(daemon)
        await daemon.post("/api/pause", session="a")
        faulty.control.rest()
        await daemon.post("/api/resume", session="a")
        await daemon.idle()
        await daemon.until(
            lambda e: e["event"] == "session_message" and e["message"]["id"] == sent["id"]
            and e["message"]["read"]
        )  # fmt: skip
        assert len(model.of("a")) == 2
        assert set(turns(home).values()) == {"finished"}
        await daemon.stop()
        await daemon.start()
        await daemon.idle()
        assert len(model.of("a")) == 2
    after = Aftermath(home)
    assert after.shown[sent["id"]] == 1


async def test_what_steers_is_heard_once_by_a_turn_that_is_paused(
    home: Path, model: ScriptedModel, shim: Faulty
) -> None:
    """R03: paused while a line is stored as heard, the turn has heard it, and no other does."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        gate = model.hold("a")
        await daemon.prompt("a", "go")
        await gate.reached()
        model.script("a", [call("list_agents"), say("done")])
        line = await daemon.prompt("a", "a bit to the left", mode="steer")
        faulty.control["delay"] = 500_000
        gate.open()
        await daemon.until(lambda e: e["event"] == "tool_call_end")
        await daemon.post("/api/pause", session="a")
        faulty.control.rest()
        await daemon.post("/api/resume", session="a")
        await daemon.idle()
        # A pause that comes before the write leaves the line to a turn of its own.
        assert turns(home)[line] in ("steered", "finished")
    assert Aftermath(home).spoken["a bit to the left"] == 1


async def test_a_last_word_that_a_pause_cuts_off_is_said_once(
    home: Path, model: ScriptedModel, shim: Faulty
) -> None:
    """R03: paused while its end is written, the turn has ended, and whoever waits is told."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        gate = model.hold("a")
        model.script("a", [say("the word")])
        turn = await daemon.prompt("a", "go")
        await gate.reached()
        faulty.control["delay"] = 500_000
        gate.open()
        await daemon.until(lambda e: e["event"] == "text_message_end")
        await daemon.post("/api/pause", session="a")
        faulty.control.rest()
        await daemon.post("/api/resume", session="a")
        assert await daemon.ended(turn) == "the word"
        await daemon.idle()
        assert turns(home) == {turn: "finished"}
        assert len(model.of("a")) == 1


async def test_a_start_that_was_never_stored_is_not_counted(
    home: Path, model: ScriptedModel
) -> None:
    """R03: a task waits for its session's file, and is not given up for it."""
    write_config(home, scripted(model.url, "a"))
    async with RunningDaemon(home) as daemon:
        await daemon.say("a", "warm")
        history = home / "workspaces/a/history.jsonl"
        aside = history.with_name("aside")
        history.rename(aside)
        history.mkdir()
        given = await daemon.post("/api/tasks", toSession="a", task="work")
        await daemon.until(lambda _: storage_notices(daemon) == 2)
        assert (await daemon.get(f"/api/tasks/{given['id']}"))["attempt"] == 1
        history.rmdir()
        aside.rename(history)
        ended = await daemon.task(given["id"])
        assert (ended["status"], ended["attempt"]) == ("completed", 1)


async def busy(daemon: RunningDaemon) -> None:
    """Wait until session a is in a turn; ends with the test's own limit of time."""
    async with asyncio.timeout(10):
        while True:
            (session,) = (await daemon.get("/api/sessions"))["items"]
            if session["status"] == "busy":
                return
