"""``clawd trace``: what one cause led to, found by any id in it, live and after a restart."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.model import ScriptedModel, Step, call, say

JSON = dict[str, Any]
CHAIN = ("default", "researcher", "coder", "review")


def passing_on(to: str) -> list[Step]:
    """Delegate, end the turn, and report when the result has come."""
    return [
        call("delegate_task_async", target_session=to, task=f"for {to}"),
        say("given"),
        say("done"),
    ]


async def three_way(daemon: RunningDaemon, model: ScriptedModel) -> JSON:
    """M24's workflow; its trace."""
    for name, to in pairwise(CHAIN):
        model.script(name, passing_on(to))
    model.script("review", [say("reviewed")])
    turn = await daemon.prompt("default", "start the workflow")
    await daemon.until(
        lambda e: (
            e["event"] == "run_finished"
            and e["session"] == "default"
            and e["final_message"] == "done"
        )
    )
    await daemon.idle()
    return await daemon.get(f"/api/traces/{turn}")


def path_to(steps: list[JSON], step: JSON) -> list[str]:
    """The kinds of the steps from the root to this one."""
    by_id = {each["id"]: each for each in steps}
    above = path_to(steps, by_id[step["parent"]]) if step["parent"] else []
    return [*above, step["kind"]]


async def test_the_full_trace_of_a_workflow(start: Start, model: ScriptedModel) -> None:
    """M24: every turn, task and result from the line to the review, in one tree, with its cost."""
    daemon = await start(*CHAIN)
    found = await three_way(daemon, model)
    steps = found["steps"]
    counts = {key: found[key] for key in ("turns", "tasks", "messages", "refusals", "hops")}
    assert counts == {"turns": 7, "tasks": 3, "messages": 3, "refusals": 0, "hops": 3}
    assert [s["session"] for s in steps if s["kind"] == "turn"] == [
        "default", "researcher", "coder", "review", "coder", "researcher", "default",
    ]  # fmt: skip
    (deepest,) = [s for s in steps if s.get("session") == "review"]
    assert path_to(steps, deepest) == ["turn", "task"] * 3 + ["turn"]
    assert all(s["state"] in ("finished", "completed", "read") for s in steps)
    assert found["usage"]["inputTokens"] == sum(
        s["usage"]["inputTokens"] for s in steps if "usage" in s
    )
    assert found["live"] is False


async def test_any_id_finds_it_also_after_a_kill(start: Start, model: ScriptedModel) -> None:
    """Lineage is durable: the same steps after ``kill -9``, by every id, and by a beginning."""
    daemon = await start(*CHAIN)
    found = await three_way(daemon, model)
    await daemon.kill()
    await daemon.start()
    for name in (found["id"], *(step["id"] for step in found["steps"])):
        again = await daemon.get(f"/api/traces/{name}")
        assert again["steps"] == found["steps"]
    assert (await daemon.get(f"/api/traces/{found['id'][:24]}"))["id"] == found["id"]
    (listed,) = (await daemon.get("/api/traces"))["items"]
    assert (listed["id"], listed["turns"], listed["messages"], listed["tasks"]) == (
        found["id"], 7, 3, 3,
    )  # fmt: skip
    assert (listed["session"], listed["cause"]) == ("default", "start the workflow")
    assert listed["usage"] == found["usage"]
    for wrong, why in (("task-0nothing", "nothing with the id"), ("nonsense", "no id of a trace")):
        with pytest.raises(ApiError, match=why):
            await daemon.get(f"/api/traces/{wrong}")


async def test_a_live_trace_shows_what_runs_and_what_was_refused(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: a refusal stands below the turn that it stopped, while the turn goes on."""
    model.script("a", [call("send_message_to_session", target_session="b", message="x")] * 2)
    daemon = await start("a", "b", limits={"maxMessagesPerPair": 1})
    gates = [model.hold("a") for _ in range(3)]
    turn = await daemon.prompt("a", "go")
    for gate in gates[:2]:
        gate.open()
    await gates[2].reached()
    await daemon.idle("b")
    found = await daemon.get(f"/api/traces/{turn}")
    assert (found["live"], found["refusals"]) == (True, 1)
    (refusal,) = [s for s in found["steps"] if s["kind"] == "refusal"]
    assert (refusal["parent"], refusal["guard"]["limit"]) == (turn, 1)
    (running,) = [s for s in found["steps"] if s["id"] == turn]
    assert running["state"] == "running"
    gates[2].open()
    assert await daemon.ended(turn) == "ok"


async def test_a_created_session_is_part_of_it(start: Start, model: ScriptedModel) -> None:
    """Lineage: who made a session, and in which turn, is known after a restart."""
    model.script(
        "a",
        [call("create_session", session_id="made", provider_template="scripted", name="Made")],
    )
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "make one")
    await daemon.ended(turn)
    await daemon.stop()
    await daemon.start()
    steps = (await daemon.get(f"/api/traces/{turn}"))["steps"]
    (made,) = [s for s in steps if s["kind"] == "session"]
    assert (made["id"], made["from"], made["parent"]) == ("made", "a", turn)


async def test_ten_thousand_messages_are_no_hindrance(start: Start, model: ScriptedModel) -> None:
    """A trace is told within a second beside mailboxes of 10,000 messages of others."""
    daemon = await start("a", "b", b={"a2a": {"wakeOnMessage": False}})
    await daemon.stop()
    mailbox = daemon.home / "workspaces/b/session_messages.jsonl"
    lines = [
        json.dumps(
            {
                "id": f"msg-{number:08}", "from": "a", "to": "b", "content": "x" * 100,
                "timestamp": "2026-01-01T00:00:00.000Z", "read": True,
                "lineage": {"trace": f"trace-{number // 50:08}", "parent": "turn-x", "hops": 1},
            }
        )
        for number in range(10_000)
    ]  # fmt: skip
    mailbox.write_text("\n".join(lines) + "\n", encoding="utf-8")
    await daemon.start()
    began = time.perf_counter()
    found = await daemon.get("/api/traces/msg-00005000")
    assert time.perf_counter() - began < 1
    assert (found["id"], found["messages"]) == ("trace-00000100", 50)
