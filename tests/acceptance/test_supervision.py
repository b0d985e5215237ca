"""One session that misbehaves harms nobody else, and a stop waits for nobody for long."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call, say

RUDE = Path(__file__).parent.parent / "faults" / "rude"
"""Tools that misbehave, for a daemon that has this on its path."""

StartRude = Callable[..., Awaitable[RunningDaemon]]


@pytest.fixture
async def start(model: ScriptedModel, tmp_path: Path) -> AsyncIterator[StartRude]:
    """Starts a daemon whose sessions have the rude tools."""
    async with AsyncExitStack() as stack:

        async def begin(*sessions: str, storm: bool = False, **more: Any) -> RunningDaemon:
            write_config(tmp_path, scripted(model.url, *sessions, **more))
            environ = {"PYTHONPATH": str(RUDE)} | ({"RUDE_STORM": "1"} if storm else {})
            return await stack.enter_async_context(RunningDaemon(tmp_path, environ=environ))

        yield begin


def errors(daemon: RunningDaemon) -> str:
    """What the daemon wrote to stderr."""
    return (daemon.home / "daemon.err").read_text()


async def ended(daemon: RunningDaemon, turn: str) -> dict[str, Any]:
    """The event that ends a turn, well or not."""
    return await daemon.until(
        lambda e: e.get("run_id") == turn and e["event"] in ("run_finished", "run_failed")
    )


@pytest.mark.parametrize("where", ["raise_error", "raise_in_a_task"])
async def test_no_exception_of_a_tool_ends_the_daemon(
    where: str, start: StartRude, model: ScriptedModel
) -> None:
    """F35: each class is an error result of that call; the turn and the others go on."""
    kinds = (
        "ValueError RecursionError MemoryError SystemExit KeyboardInterrupt GeneratorExit "
        "StopIteration StopAsyncIteration BaseException CancelledError"
    ).split()
    daemon = await start("a", "b", limits={"maxFailedCallsInARow": 99})
    pid = daemon.pid
    for kind in kinds:
        model.script("a", [call(where, name=kind), say(f"survived {kind}")])
        turn = await daemon.prompt("a", "go")
        end = await ended(daemon, turn)
        if end["event"] == "run_failed":
            # In a task of its own it ends a round of the loop: the turn may fail, nothing else.
            assert (where, kind in ("SystemExit", "KeyboardInterrupt")) == ("raise_in_a_task", True)
            assert kind in end["error"]["message"]
        else:
            assert end["final_message"] == f"survived {kind}"
        assert await daemon.say("b", "and you?") == "ok"
    await daemon.idle()
    statuses = [s["status"] for s in (await daemon.get("/api/sessions"))["items"]]
    assert statuses == ["idle", "idle"]
    assert (await daemon.get("/api/status"))["pid"] == pid
    assert all(request.refused == "" for request in model.requests)


async def test_a_blocked_loop_is_noticed_and_stopped_all_the_same(
    start: StartRude, model: ScriptedModel
) -> None:
    """F38: the log has the stack, status the count; two signals end a loop that is stuck."""
    model.script("a", [call("block", seconds=1.0), say("done")])
    daemon = await start("a")
    assert await daemon.say("a", "hello") == "done"
    notice = await daemon.until(lambda e: e.get("code") == "loop_blocked")
    assert "sitecustomize.py" in notice["text"]
    loop = (await daemon.get("/api/status"))["loop"]
    assert loop["blocked"] == 1
    assert loop["longestMilliseconds"] >= 900
    written = errors(daemon)
    assert written.count("has been blocked") == 1
    assert "time.sleep(seconds)" in written

    os.mkfifo(daemon.home / "blocked")
    model.script("a", [call("block", seconds=60.0)])
    await daemon.prompt("a", "again")
    async with asyncio.timeout(10):
        assert await asyncio.to_thread((daemon.home / "blocked").read_bytes) == b"now"
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)
    async with asyncio.timeout(3):
        assert await daemon.gone() == 143


async def test_a_turn_that_crashes_its_session_is_given_up(
    start: StartRude, model: ScriptedModel
) -> None:
    """R08: three crashes park it, and the creator of its task is told; a restart drops the turn.

    The same turn never crashes it again, the session works, and nothing was said twice.
    """
    daemon = await start("boss", "ending", boss={"a2a": {"wakeOnMessage": False}})
    task = await daemon.tool("boss", "delegate_task_async", target_session="ending", task="crash")
    parked = await daemon.until(lambda e: e.get("code") == "session_failed")
    assert parked["session"] == "ending"
    ended = await daemon.task(task["taskId"])
    assert (ended["status"], ended["reason"]) == ("failed", "session_failed")
    (verdict,) = await daemon.verdicts(task["taskId"], "boss")
    assert "it crashes when its turn ends" in verdict["content"]
    asked = len(model.of("ending"))
    assert asked == 1
    restarted = await daemon.post("/api/sessions/ending/restart")
    assert restarted["failed"] is None
    assert await daemon.say("ending", "are you well?") == "ok"
    assert len(model.of("ending")) == asked + 1
    await daemon.idle()
    statuses = [s["status"] for s in (await daemon.get("/api/sessions"))["items"]]
    assert statuses == ["idle", "idle"]


async def test_a_session_that_runs_can_be_restarted(start: StartRude, model: ScriptedModel) -> None:
    """Its turn is cut off and goes on from the transcript; what waited, waits again."""
    gate = model.hold("a")
    daemon = await start("a")
    turn = await daemon.prompt("a", "one")
    second = await daemon.prompt("a", "two")
    await gate.reached()
    gate.open()
    model.script("a", [say("first"), say("second")])
    await daemon.post("/api/sessions/a/restart")
    assert {await daemon.ended(turn), await daemon.ended(second)} <= {"ok", "first", "second"}
    assert (await daemon.get("/api/sessions/a"))["status"] in ("idle", "busy")


async def test_nothing_is_without_an_owner(start: StartRude, model: ScriptedModel) -> None:
    """F34: in a storm of collections no task is destroyed, and no failure goes unheard."""
    sessions = [f"s{number}" for number in range(4)]
    daemon = await start(*sessions, storm=True)
    for number, name in enumerate(sessions):
        target = sessions[number - 1]
        model.script(
            name,
            [
                call("send_message_to_session", target_session=target, message="?"),
                call("hang"),
                say("never"),
            ],
        )
    turns = [await daemon.prompt(name, "hello") for name in sessions]
    await daemon.until(lambda e: e.get("tool_name") == "hang")
    for name in sessions:
        await daemon.post(f"/api/sessions/{name}/cancel")
    for turn in turns:
        assert (await ended(daemon, turn))["event"] == "run_failed"
    await daemon.idle()
    assert await daemon.stop() == 0
    written = errors(daemon)
    assert "was destroyed" not in written
    assert "never retrieved" not in written
    assert "never awaited" not in written


async def test_the_daemon_outlives_its_terminal(model: ScriptedModel, tmp_path: Path) -> None:
    """R09, F39: SIGHUP, the end of stdin and a terminal that is gone; it goes on, and ends well."""
    write_config(tmp_path, scripted(model.url, "a"))
    master, slave = pty.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220 - to have its own terminal
        [sys.executable, "-m", "clawd", "daemon", "run", "--home", str(tmp_path)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        command = [sys.executable, "-m", "clawd", "--home", str(tmp_path), "--json"]

        async def clawd(*line: str) -> subprocess.CompletedProcess[bytes]:
            return await asyncio.to_thread(
                subprocess.run, [*command, *line], capture_output=True, check=False, timeout=30
            )

        async with asyncio.timeout(20):
            while (await clawd("status")).returncode:
                pass
        os.close(master)
        process.send_signal(signal.SIGHUP)
        answer = await clawd("chat", "-s", "a", "-p", "still there?")
        assert (answer.returncode, b'"ok"' in answer.stdout) == (0, True)
        assert process.poll() is None
        process.terminate()
        assert await asyncio.to_thread(process.wait, 10) == 0
    finally:
        process.kill()
        process.wait()
