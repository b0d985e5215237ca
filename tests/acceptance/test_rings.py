"""R07: what would go on for ever is stopped at its limit, and you are served throughout."""

from __future__ import annotations

import asyncio
import itertools
import time
from functools import partial
from typing import Any

import pytest

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import latest
from clawd.testing.model import ScriptedModel, Step, call, calls, say, tool

JSON = dict[str, Any]


def always(body: JSON, to: str) -> Step:
    """Answer whatever comes by writing to ``to``."""
    if body["messages"][-1]["role"] == "tool":
        return say("sent")
    return call("send_message_to_session", target_session=to, message="and you?")


async def mail(daemon: RunningDaemon, *sessions: str) -> list[JSON]:
    """The messages of these mailboxes, those from the operator left out."""
    found = [
        message
        for session in sessions
        for message in (await daemon.get("/api/messages", session=session, limit=10_000))["items"]
    ]
    return [m for m in found if m["from"] != "operator"]


async def patience(daemon: RunningDaemon) -> float:
    """One second; more only where this machine is so busy that rest alone takes long."""
    began = time.monotonic()
    assert await daemon.say("human", "are you there?") == "ok"
    return max(1.0, 10 * (time.monotonic() - began))


async def until_stopped(daemon: RunningDaemon, *sessions: str) -> float:
    """Talk to ``human`` until these are at rest after a refusal; the slowest answer in seconds."""
    slowest = 0.0
    while True:
        began = time.monotonic()
        assert await daemon.say("human", "are you there?") == "ok"
        slowest = max(slowest, time.monotonic() - began)
        stopped = [e for e in daemon.named("notice") if e["code"].startswith("guard_")]
        listed = (await daemon.get("/api/sessions"))["items"]
        states = {s["status"] for s in listed if s["id"] in sessions}
        if stopped and states == {"idle"} and not any(s["queue"] for s in listed):
            return slowest


@pytest.mark.parametrize(
    ("size", "code", "most"), [(2, "messages_per_pair", 20), (3, "hops", 24), (5, "hops", 24)]
)
async def test_a_ring(start: Start, model: ScriptedModel, size: int, code: str, most: int) -> None:
    """R07: a ring of sessions that always answer ends at its limit; the error names it."""
    ring = [f"ring{number}" for number in range(size)]
    for name, to in zip(ring, ring[1:] + ring[:1], strict=True):
        model.rule(name, partial(always, to=to))
    daemon = await start(*ring, "human")
    at_most = await patience(daemon)
    began = time.monotonic()
    await daemon.prompt(ring[0], "go")
    slowest = await until_stopped(daemon, *ring)
    assert slowest < at_most, f"{slowest:.2f} s of {time.monotonic() - began:.1f} s"
    refused = [e["error"] for e in daemon.named("tool_call_error")]
    assert [(e["error"], e["limit"], e["retryable"]) for e in refused] == [
        (f"guard_{code}", most, False)
    ]
    assert f"the limit is {most}" in refused[0]["message"]
    assert len(await mail(daemon, *ring)) == most
    for name in ring:
        model.script(name, [say("well")])
        assert await daemon.say(name, "are you well?") == "well"


async def test_delegation_to_oneself(start: Start, model: ScriptedModel) -> None:
    """R07: to itself, and to itself through another; each is refused where it would close."""
    model.script("a", [call("delegate_task_async", target_session="a", task="x")])
    daemon = await start("a", "b")
    await daemon.say("a", "delegate to yourself")
    (error,) = [e["error"] for e in daemon.named("tool_call_error")]
    assert "itself" in error["message"]
    for name, to in (("a", "b"), ("b", "a")):
        model.script(name, [call("delegate_task_async", target_session=to, task="x"), say("so")])
    await daemon.say("a", "delegate to b")
    await daemon.idle()
    error = daemon.named("tool_call_error")[-1]["error"]
    assert error["error"] == "guard_delegation_cycle"
    assert "a -> b -> a" in error["message"]
    assert len((await daemon.get("/api/tasks"))["items"]) == 1


async def test_sessions_that_make_sessions(start: Start, model: ScriptedModel) -> None:
    """R07: each makes two and sets them to the same; depth and number end it."""
    names = (f"made{number}" for number in itertools.count())

    def multiply(body: JSON) -> Step:
        last = body["messages"][-1]
        if last["role"] != "tool":
            made = [next(names) for _ in range(2)]
            new = (
                tool("create_session", f'{{"session_id": "{n}", "provider_template": "scripted", '
                     f'"name": "{n}"}}', n)
                for n in made
            )  # fmt: skip
            return calls(*new)
        asked = [m for m in body["messages"] if m.get("tool_calls")][-1]["tool_calls"]
        results = {m["tool_call_id"]: m["content"] for m in body["messages"] if m["role"] == "tool"}
        made = [c["id"] for c in asked if c["function"]["name"] == "create_session"]
        there = [n for n in made if '"error"' not in results[n][:12]]
        if not there:
            return say("enough")
        return calls(
            *(tool("delegate_task_async", f'{{"target_session": "{n}", "task": "multiply"}}')
              for n in there)
        )  # fmt: skip

    model.rule("a", multiply)
    model.rule("spare", multiply)
    daemon = await start("a", "human", limits={"maxSessionDepth": 2, "maxSessionsAlive": 20})
    at_most = await patience(daemon)
    await daemon.prompt("a", "go")
    slowest = await until_stopped(daemon, "a")
    await daemon.idle()
    assert slowest < at_most
    made = [s["id"] for s in (await daemon.get("/api/sessions"))["items"] if s["createdBy"] != ""]
    assert len(made) == 20
    refused = [e["error"] for e in daemon.named("tool_call_error")]
    assert {(e["error"], e["limit"], e["retryable"]) for e in refused} == {
        ("guard_session_depth", 2, False),
        ("guard_sessions_alive", 20, False),
    }


async def test_what_was_counted_counts_after_a_kill(start: Start, model: ScriptedModel) -> None:
    """R07: the daemon dies in the middle of a ring; it ends where it would have ended."""
    for name, to in (("a", "b"), ("b", "a")):
        model.rule(name, partial(always, to=to))
    daemon = await start("a", "b", limits={"maxMessagesPerPair": 6})
    gate = None
    for _ in range(4):
        gate = model.hold("b")
        if not model.of("a"):
            await daemon.prompt("a", "go")
        await asyncio.wait_for(gate.reached(), 10)
        gate.open()
    held = model.hold("a")
    await held.reached()
    await daemon.kill()
    held.open()
    before = len(await asyncio.to_thread(_lines, daemon))
    assert 0 < before <= 6
    await daemon.start()
    notice = await daemon.until(lambda e: e["event"] == "notice" and "guard" in e)
    await daemon.idle()
    assert (notice["code"], notice["guard"]["value"]) == ("guard_messages_per_pair", 6)
    assert len(await mail(daemon, "a", "b")) == 6


def _lines(daemon: RunningDaemon) -> list[str]:
    files = daemon.home.glob("workspaces/*/session_messages.jsonl")
    return [record["id"] for file in files for record in latest(file)]


async def test_turns_and_sends_are_counted_over_a_restart(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: the hour of a session's turns and the minute of its sends do not begin anew."""
    daemon = await start(
        "a", "b", a={"limits": {"sendsPerMinute": 2}, "a2a": {"wakeOnMessage": False}},
        b={"limits": {"maxAutonomousTurnsPerHour": 1}},
    )  # fmt: skip
    send = {"target_session": "b", "message": "x"}
    await daemon.tool("a", "send_message_to_session", **send)
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "b")
    await daemon.kill()
    await daemon.start()
    await daemon.tool("a", "send_message_to_session", **send | {"message": "y"})
    failed = await daemon.until(lambda e: e["event"] == "run_failed" and e["session"] == "b")
    assert failed["error"]["error"] == "guard_autonomous_turns_per_hour"
    third = await daemon.tool("a", "send_message_to_session", **send | {"message": "z"})
    assert (third["error"], third["value"]) == ("guard_sends_per_minute", 2)


async def test_turns_of_a_trace_are_counted_over_a_restart(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: a trace that goes on after a kill has as many turns in all as any other."""
    for name, to in (("a", "b"), ("b", "a")):
        model.rule(name, partial(always, to=to))
    daemon = await start("a", "b", limits={"maxTurnsPerTrace": 4})
    gate = model.hold("b")
    await daemon.prompt("a", "go")
    await gate.reached()
    await daemon.kill()
    gate.open()
    await daemon.start()
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == "guard_turns_per_trace")
    await daemon.idle()
    (trace,) = (await daemon.get("/api/traces"))["items"]
    steps = (await daemon.get(f"/api/traces/{trace['id']}"))["steps"]
    turns = [s["state"] for s in steps if s["kind"] == "turn"]
    assert (turns.count("finished"), trace["turns"]) == (4, 4)
