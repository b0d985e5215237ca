"""A day's work of an operator, as one cycle: create, talk, delegate, reload, remove."""

from __future__ import annotations

import asyncio
from typing import Any

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted
from clawd.testing.model import ScriptedModel, Step, call, say
from clawd.testing.reload import reloaded

JSON = dict[str, Any]

QUIET = "quiet"
"""A session that no message wakes."""

WORD = "soakling"
"""The beginning of every id that a cycle makes and removes."""


def minds(model: ScriptedModel) -> None:
    """The scripted model's part: whoever gets a task delegates nothing and ends it."""

    def answer(body: JSON) -> Step:
        last = body["messages"][-1]
        text = str(last.get("content") or "")
        if last["role"] == "user" and text.startswith("[task "):
            task = text.split()[1]
            return call("complete_async_task", task_id=task, result="done")
        if last["role"] == "user" and "pass it on to " in text:
            target = text.split("pass it on to ")[1].split()[0]
            return call("send_message_to_session", target_session=target, message="hello there")
        return say("noted")

    for name in ("a", "b", "spare"):
        model.rule(name, answer)


def day_config(url: str, edition: int, *, guest: bool) -> JSON:
    """The home's configuration; tasks are forgotten as soon as they are swept."""
    config = scripted(
        url,
        "a",
        "b",
        QUIET,
        *([f"{WORD}-guest"] if guest else []),
        limits={
            "maxSessionsPerHour": 1_000_000,
            "maxAutonomousTurnsPerHour": 1_000_000,
            "sendsPerMinute": 1_000_000,
            "maxUnread": 20_000,
        },
        retention={"tasksHours": 0.000_001},
        log={"maxBytes": 262_144, "keep": 1},
    )
    config["sessions"][QUIET]["a2a"] = {"wakeOnMessage": False}
    config["sessions"]["b"]["description"] = f"edition {edition}"
    return config


async def fill(daemon: RunningDaemon, traces: int) -> None:
    """Let the daemon remember as many traces as it ever does, so that what grows is no memory."""
    for _ in range(0, traces, 50):
        sends = (daemon.post("/api/messages", to=QUIET, content="a trace") for _ in range(50))
        await asyncio.gather(*sends)
    await daemon.post("/api/messages/read", session=QUIET)
    await daemon.post("/api/messages/prune")


async def day(daemon: RunningDaemon, url: str, number: int, *, reload: bool = True) -> None:
    """One cycle."""
    name = f"{WORD}-{number}"
    await daemon.post(
        "/api/sessions",
        session_id=name,
        provider_template="scripted",
        name=f"The {name}",
        soul_content=f"You are {name}.",
    )
    await daemon.say(name, "hello")
    await daemon.post("/api/messages", to=name, content=f"please pass it on to b, {name}")
    made = await daemon.tool("a", "delegate_task_async", target_session=name, task="a piece")
    task = await daemon.task(made["taskId"])
    if task["status"] != "completed":
        raise RuntimeError(f"the task ended as {task}")
    await daemon.say("a", "how is it going?")
    await daemon.idle()
    if reload:
        await reloaded(daemon, day_config(url, number, guest=True))
        await daemon.say(f"{WORD}-guest", "welcome")
        soul = daemon.home / "workspaces/a/SOUL.md"
        await asyncio.to_thread(soul.write_text, f"You are of edition {number}.")
        await reloaded(daemon, day_config(url, number, guest=False))
    await daemon.ask("DELETE", f"/api/sessions/{name}")
    await daemon.idle()
    for session in ("a", "b"):
        await daemon.post(f"/api/sessions/{session}/reset")
    await daemon.post("/api/messages/read", session="operator")
    await daemon.post("/api/messages/prune")
