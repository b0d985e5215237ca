"""Commands over a running daemon: what they reach, how they end, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clawd.sandbox.probe import bubblewrap
from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.model import ScriptedModel, call, calls, say

pytestmark = pytest.mark.skipif(
    bubblewrap().ability is None, reason=f"bubblewrap: {bubblewrap().problem}"
)

ABLE = {"tools": {"exec": True}}
STUBBORN = "trap '' TERM; setsid -f sh -c 'trap \"\" TERM; sleep {n}'; echo up; sleep {n}"


def alive(number: int) -> list[str]:
    """The command lines of this machine's processes that sleep so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(str(number) in word for word in words):
            found.append(" ".join(words))
    return found


async def gone(number: int, seconds: float = 2.0) -> float:
    """Wait until none of them is left; how long that took."""
    began = time.monotonic()
    while alive(number):
        assert time.monotonic() - began < seconds, alive(number)
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def up(daemon: RunningDaemon) -> None:
    """Wait until a command says that it runs."""
    await daemon.until(lambda e: e["event"] == "tool_call_progress" and "up" in e["message"])


def result(model: ScriptedModel, session: str) -> str:
    """The last result of a tool that a session's model has read."""
    found = [m["content"] for m in model.of(session)[-1].messages if m["role"] == "tool"]
    return str(found[-1])


async def test_a_model_runs_a_command(start: Start, model: ScriptedModel) -> None:
    """The command's output comes as it is written, and its end is the tool's result."""
    command = "echo first; sleep 0.3; echo second > made.txt; exit 7"
    model.script("a", [call("exec", command=command), say("done")])
    daemon = await start("a", a=ABLE)
    assert await daemon.say("a", "go") == "done"
    assert result(model, "a").startswith("[exit 7 after ")
    assert [e["message"] for e in daemon.named("tool_call_progress")] == ["first\n"]
    assert (daemon.home / "workspaces/a/made.txt").read_text() == "second\n"


async def test_a_session_without_the_key_has_no_commands(
    start: Start, model: ScriptedModel
) -> None:
    """Off by default: the tool is neither offered nor there."""
    model.script("a", [call("exec", command="touch ran"), say("done")])
    daemon = await start("a")
    await daemon.say("a", "go")
    assert "unknown_tool" in result(model, "a")
    assert not (daemon.home / "workspaces/a/ran").exists()


async def test_no_key_and_no_home_is_seen(start: Start, model: ScriptedModel) -> None:
    """R12, B29: neither the canary key of the configuration, nor the state, nor another session."""
    config = "{home}/config.json {home}/state/*.jsonl {home}/workspaces/b/*"
    daemon = await start("a", "b", a=ABLE)
    (daemon.home / "workspaces/b/private.txt").write_text("canary-of-b")
    script = f"cat {config.format(home=daemon.home)}; env; cat /proc/*/environ /proc/*/cmdline"
    model.script("a", [call("exec", command=script), say("done")])
    await daemon.say("a", "go")
    assert "sk-canary" not in result(model, "a")
    assert "canary-of-b" not in result(model, "a")
    assert "No such file or directory" in result(model, "a")


async def test_a_cancelled_turn_ends_its_command(start: Start, model: ScriptedModel) -> None:
    """R09: what ignores SIGTERM and what made itself independent are gone in time."""
    model.script("a", [call("exec", command=STUBBORN.format(n=91_001)), say("done")])
    daemon = await start("a", a=ABLE)
    await daemon.prompt("a", "go")
    await up(daemon)
    began = time.monotonic()
    await daemon.post("/api/sessions/a/cancel")
    await daemon.until(lambda e: e["event"] == "tool_call_error")
    assert time.monotonic() - began < 1.5
    await gone(91_001)
    await daemon.idle("a")


async def test_a_command_over_its_time_ends(start: Start, model: ScriptedModel) -> None:
    """R09: the time-out ends all of it, and the model reads why."""
    command = STUBBORN.format(n=91_002)
    model.script("a", [call("exec", command=command, timeout_seconds=0.5), say("done")])
    daemon = await start("a", a=ABLE)
    await daemon.say("a", "go")
    assert "timed out after 0.5 s" in result(model, "a")
    await gone(91_002)


Ending = Callable[[RunningDaemon], Any]


@pytest.mark.parametrize(
    ("ending", "number"),
    [(RunningDaemon.stop, 91_003), (RunningDaemon.kill, 91_004)],
    ids=["SIGTERM", "SIGKILL"],
)
async def test_nothing_outlives_the_daemon(
    start: Start, model: ScriptedModel, ending: Ending, number: int
) -> None:
    """R09: a command of a turn and one in the background end with it, 2 s later at the latest."""
    command = STUBBORN.format(n=number)
    model.script(
        "a",
        [call("exec_start", command=command), call("exec", command=command), say("done")],
    )
    daemon = await start("a", a=ABLE)
    await daemon.prompt("a", "go")
    await up(daemon)
    assert len(alive(number)) >= 4
    began = time.monotonic()
    await ending(daemon)
    assert time.monotonic() - began < 10
    await gone(number)


async def test_a_fork_bomb_does_not_slow_the_daemon(start: Start, model: ScriptedModel) -> None:
    """R08, B29: it is bounded, the others' requests are answered, and it ends."""
    bomb = ":(){ :|:& };:; sleep 91005"
    model.script("a", [call("exec", command=bomb, timeout_seconds=2.5), say("done")])
    daemon = await start("a", "b", a=ABLE)
    turn = await daemon.prompt("a", "go")
    await daemon.until(lambda e: e["event"] == "tool_call_start")
    worst = 0.0
    while not daemon.named("tool_call_end"):
        began = time.monotonic()
        await daemon.get("/api/status")
        worst = max(worst, time.monotonic() - began)
        await asyncio.sleep(0.02)
    assert await daemon.say("b", "hello") == "ok"
    await daemon.ended(turn)
    assert worst < 1
    await gone(91_005)


async def test_a_flood_does_not_fill_the_stream(start: Start, model: ScriptedModel) -> None:
    """R08: output without end is ended; few events, a short result and a bounded file remain."""
    model.script("a", [call("exec", command="yes"), say("done")])
    daemon = await start("a", a=ABLE)
    await daemon.say("a", "go")
    assert "killed: it wrote more than 64 MiB" in result(model, "a")
    assert len(result(model, "a")) < 40_000
    assert len(daemon.named("tool_call_progress")) < 50
    (kept,) = (daemon.home / "workspaces/a/results").iterdir()
    assert kept.stat().st_size == 64 * 1024 * 1024


async def test_commands_side_by_side(start: Start, model: ScriptedModel) -> None:
    """Several calls of one answer run at the same time, each with its own output."""
    wait = "touch {a}; while [ ! -e {b} ]; do sleep 0.01; done; echo {a} met"
    model.script(
        "a",
        [
            calls(
                call("exec", command=wait.format(a="x", b="y"), timeout_seconds=20.0),
                call("exec", command=wait.format(a="y", b="x"), timeout_seconds=20.0),
            ),
            say("done"),
        ],
    )
    daemon = await start("a", a=ABLE)
    await daemon.say("a", "go")
    read = [m["content"] for m in model.of("a")[-1].messages if m["role"] == "tool"]
    assert ["x met" in read[0], "y met" in read[1]] == [True, True]


async def test_a_background_command_outlives_its_turn(start: Start, model: ScriptedModel) -> None:
    """The next turn is told of it, reads what it wrote meanwhile, and ends it."""
    daemon = await start("a", a=ABLE)
    started = await daemon.tool("a", "exec_start", command="echo up; sleep 91006")
    id = started["id"]
    await daemon.say("a", "go")
    assert id in json.dumps(model.of("a")[-1].messages)
    assert (await daemon.tool("a", "exec_read", id=id))["running"] is True
    assert (await daemon.tool("a", "exec_stop", id=id))["running"] is False
    await gone(91_006)


async def test_a_session_that_is_removed_takes_its_commands_along(
    start: Start, model: ScriptedModel
) -> None:
    """R09: nothing of it runs on."""
    daemon = await start("a", "b", a=ABLE, b=ABLE)
    await daemon.tool("b", "exec_start", command="echo up; sleep 91007")
    config = json.loads((daemon.home / "config.json").read_text())
    del config["sessions"]["b"]
    fresh = daemon.home / ".new"
    fresh.touch(0o600)
    fresh.write_text(json.dumps(config))
    os.replace(fresh, daemon.home / "config.json")
    await daemon.until(lambda e: e["event"] == "session_removed")
    await gone(91_007)


async def test_no_sandbox_is_said_once(start: Start, model: ScriptedModel) -> None:
    """The opt-out is a notice for the operator, and the model knows it too."""
    daemon = await start("a", a={"tools": {"exec": True, "execSandbox": "none"}})
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == "exec_unconfined")
    await daemon.say("a", "hello")
    assert "WITHOUT a sandbox" in json.dumps(model.of("a")[-1].messages[0])
