"""Sessions that misbehave for as long as they can: the others pay nothing, and nothing grows."""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call

pytestmark = pytest.mark.faults

RUDE = Path(__file__).parent / "rude"
"""Tools that misbehave, for a daemon that has this on its path."""

StartRude = Callable[..., Awaitable[RunningDaemon]]


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    """A scripted model."""
    async with ScriptedModel() as running:
        yield running


@pytest.fixture
async def start(model: ScriptedModel, tmp_path: Path) -> AsyncIterator[StartRude]:
    """Starts a daemon whose sessions have the rude tools."""
    async with AsyncExitStack() as stack:

        async def begin(*sessions: str, **more: Any) -> RunningDaemon:
            write_config(tmp_path, scripted(model.url, *sessions, **more))
            running = RunningDaemon(tmp_path, environ={"PYTHONPATH": str(RUDE)})
            return await stack.enter_async_context(running)

        yield begin


async def test_one_bad_session_costs_the_others_nothing(
    start: StartRude, model: ScriptedModel
) -> None:
    """R08: a crash loop, a poisoned transcript, a tool that hangs, a tool that floods.

    The others' turns take as long as before, and the one that crashes is parked, visibly.
    """
    daemon = await start("good", "looping", "poisoned", "hanging", "flooding")

    async def median(turns: int = 40) -> float:
        times = []
        for _ in range(turns):
            began = time.perf_counter()
            assert await daemon.say("good", "hello") == "ok"
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    await median()
    before = await median()
    await daemon.prompt("looping", "hello")
    model.script("hanging", [call("hang")])
    await daemon.prompt("hanging", "hello")
    model.script("flooding", [step for _ in range(40) for step in (call("flood", megabytes=1),)])
    await daemon.prompt("flooding", "hello")
    during = await median()
    # A ratio belongs to the benchmarks; this is far from what a wait for another would cost.
    assert during < before * 3 + 0.05

    parked = await daemon.until(lambda e: e.get("code") == "session_failed")
    assert parked["session"] == "looping"
    assert "clawd sessions restart looping" in parked["text"]
    crashes = (daemon.home / "daemon.err").read_text().count("looping crashed: ")
    assert crashes == 3
    with pytest.raises(ApiError) as refused:
        await daemon.prompt("looping", "still there?")
    assert refused.value.code == "session_failed"
    assert await daemon.say("good", "hello") == "ok"


POISONS: dict[str, Any] = {
    "a turn without trigger": {"type": "turn", "trigger": {"kind": "task", "source": "x"}},
    "a task of nobody": {
        "type": "turn",
        "trigger": {"kind": "task", "source": "x", "ids": ["task-gone"]},
    },
    "a message of nobody": {
        "type": "turn",
        "trigger": {"kind": "message", "source": "x", "ids": ["msg-gone"]},
    },
    "a tool result of no call": {
        "type": "message",
        "turn": "turn-0",
        "trigger": "user",
        "message": {"role": "tool", "content": "?", "tool_call_id": "nothing"},
    },
    "calls without results": {
        "type": "message",
        "turn": "turn-0",
        "trigger": "user",
        "message": {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "?", "arguments": "{"}}
            ],
        },
    },
    "a summary of nothing": {"type": "summary", "upto": "line-gone", "text": ""},
    "a kind to come": {"type": "nonsense"},
    "no fields": {},
}


async def test_a_poisoned_transcript_never_grows_by_restarts(
    start: StartRude, model: ScriptedModel
) -> None:
    """R08, F46: whatever is in it, five restarts leave every file as long as it was."""
    names = {f"p{number}": poison for number, poison in enumerate(POISONS.values())}
    daemon = await start("good", *names)
    for name in names:
        assert await daemon.say(name, "hello") == "ok"
    await daemon.stop()
    lineage = {"trace": "trace-0", "origin": "operator"}
    paths = {name: daemon.home / "workspaces" / name / "history.jsonl" for name in names}
    for name, poison in names.items():
        lines = [json.loads(line) for line in paths[name].read_text().splitlines()]
        line = {
            "id": "line-poison",
            "conversation": lines[0]["id"],
            "time": lines[0]["time"],
            "status": "running",
            "lineage": lines[1].get("lineage", lineage),
            **poison,
        }
        with paths[name].open("a") as file:
            file.write(json.dumps(line) + "\n")

    def sizes() -> dict[str, int]:
        found = daemon.home.glob("workspaces/*/*.jsonl*")
        return {str(path): path.stat().st_size for path in found}

    seen = []
    for _ in range(6):
        await daemon.start()
        assert await daemon.say("good", "hello") == "ok"
        await daemon.idle()
        await daemon.kill()
        seen.append({path: size for path, size in sizes().items() if "/good/" not in path})
    assert seen[1:] == seen[:1] * 5 or seen[2:] == seen[1:2] * 4
    await daemon.start()
    for name in names:
        assert await daemon.say(name, "and now?") == "ok"
    assert all(request.refused == "" for request in model.requests)


async def test_a_task_that_ignores_its_cancellation_holds_up_no_stop(
    start: StartRude, model: ScriptedModel
) -> None:
    """R09, F37: a tool that swallows every cancellation; gone within ten seconds, nothing lost."""
    model.script("a", [call("cling")])
    daemon = await start("a", "b")
    await daemon.prompt("a", "hello")
    await daemon.until(lambda e: e["event"] == "tool_call_start")
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message="kept")
    began = time.perf_counter()
    daemon.signal(signal.SIGTERM)
    async with asyncio.timeout(12):
        assert await daemon.gone() in (0, 143)
    assert time.perf_counter() - began < 10
    assert sent["id"] in (daemon.home / "workspaces/b/session_messages.jsonl").read_text()
