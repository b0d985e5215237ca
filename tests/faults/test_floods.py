"""Floods: a tool, a peer and a network that send as much as they can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.faults.night_samples import memory_of

from clawd.sessions.results import KEPT_BYTES, SHOWN
from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import latest, lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel, Step, call, calls, flood, say

RUDE = Path(__file__).parent / "rude"
"""Tools that misbehave, for a daemon that has this on its path."""

pytestmark = pytest.mark.faults


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    """A scripted model that keeps no requests: these are large."""
    async with ScriptedModel(remember=False) as running:
        yield running


@pytest.fixture
async def daemon(model: ScriptedModel, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    """A daemon whose sessions have the rude tools."""
    write_config(tmp_path, scripted(model.url, "good", "bad", "sink"))
    async with RunningDaemon(tmp_path, environ={"PYTHONPATH": str(RUDE)}) as running:
        yield running


async def slowest(daemon: RunningDaemon, until: asyncio.Task[object]) -> float:
    """The longest that a line to the good session took while the other thing went on."""
    longest = 0.0
    while not until.done():
        began = time.monotonic()
        assert await daemon.say("good", "are you there?") == "ok"
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.05)
    return longest


async def test_a_tool_that_answers_100_mb(daemon: RunningDaemon, model: ScriptedModel) -> None:
    """R08: cut, and kept whole in a file; the others are answered, and memory comes back."""
    await daemon.say("good", "warm up")
    before = memory_of(daemon.pid)
    model.script("bad", [step for _ in range(3) for step in (call("flood", megabytes=100),)])
    async with asyncio.TaskGroup() as group:
        flooding = group.create_task(daemon.say("bad", "go"))
        assert await slowest(daemon, flooding) < 1
    history = lines_of(daemon.home / "workspaces/bad/history.jsonl")
    results = [
        r["message"]["content"]
        for r in history
        if "message" in r and r["message"]["role"] == "tool"
    ]
    assert len(results) == 3
    assert all(SHOWN < len(result) < 1.01 * SHOWN for result in results)
    whole = list((daemon.home / "workspaces/bad/results").iterdir())
    assert 0 < sum(file.stat().st_size for file in whole) <= KEPT_BYTES
    assert all(f"results/{file.name}" in "".join(results) for file in whole)
    assert memory_of(daemon.pid) - before < 150


async def test_an_answer_of_100_mb(daemon: RunningDaemon, model: ScriptedModel) -> None:
    """F33: given up at 1 MiB; no log, no event and no transcript holds more."""
    await daemon.say("good", "warm up")
    before = memory_of(daemon.pid)
    model.script("bad", [flood(100) for _ in range(5)])
    for _ in range(5):
        with pytest.raises(ApiError, match="longer than 1 MiB"):
            await daemon.say("bad", "go")
    assert memory_of(daemon.pid) - before < 100
    longest = max(
        len(line)
        for line in (daemon.home / "workspaces/bad/logs/session.log").read_bytes().split(b"\n")
    )
    assert longest < 1_300_000


async def test_a_peer_at_the_limit_of_its_rate(daemon: RunningDaemon, model: ScriptedModel) -> None:
    """Guards: what goes past a limit is refused; what was stored is delivered."""

    def send(body: dict[str, object]) -> Step:
        del body
        text = "flood " * 2_000
        return calls(
            *(
                call("send_message_to_session", target_session="sink", message=text)
                for _ in range(10)
            )
        )

    await daemon.say("good", "warm up")
    model.script("bad", [send({}) for _ in range(12)])
    model.rule("sink", lambda _: say("noted"))
    async with asyncio.TaskGroup() as group:
        turn = await daemon.prompt("bad", "go")
        ended = group.create_task(
            daemon.until(
                lambda e: e.get("run_id") == turn and e["event"] in ("run_finished", "run_failed")
            )
        )
        assert await slowest(daemon, ended) < 1
    await daemon.idle()
    box = latest(daemon.home / "workspaces/sink/session_messages.jsonl")
    assert 0 < len(box) <= 20, "the pair's limit comes first"
    assert {m["state"] for m in box} == {"read"}
    assert daemon.named("notice", "bad")
