"""How tasks end: by the worker's turn, by evidence, by a deadline, by whoever calls them off."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.homes import latest
from clawd.testing.model import ScriptedModel, call, calls, empty, fail, say

JSON = dict[str, Any]


async def test_the_final_text_is_the_result_when_the_worker_forgets(
    start: Start, model: ScriptedModel
) -> None:
    """M14: a turn without a verdict completes the task with its text; an empty one fails it."""
    model.script("worker", [say("forty-two"), empty(), empty()])
    daemon = await start("worker")
    first = await daemon.post("/api/tasks", toSession="worker", task="x")
    second = await daemon.post("/api/tasks", toSession="worker", task="y")
    ended = await daemon.task(first["id"])
    assert (ended["status"], ended["result"], ended["verified"]) == (
        "completed", "forty-two", False,
    )  # fmt: skip
    ended = await daemon.task(second["id"])
    assert (ended["status"], ended["reason"]) == ("failed", "empty")
    assert len(await daemon.verdicts(first["id"])) == len(await daemon.verdicts(second["id"])) == 1


async def test_a_refused_model_call_fails_the_task(start: Start, model: ScriptedModel) -> None:
    """M14: an error that stays fails the task at once, with the endpoint's reason."""
    model.script("worker", [fail(401)])
    daemon = await start("worker")
    task = await daemon.post("/api/tasks", toSession="worker", task="x")
    ended = await daemon.task(task["id"])
    assert ended["status"] == "failed"
    assert ended["error"]
    assert len(model.of("worker")) == 1
    assert len(await daemon.verdicts(task["id"])) == 1


async def test_a_passing_failure_is_tried_again(start: Start, model: ScriptedModel) -> None:
    """A failure that may pass costs an attempt, and the task goes on after a pause."""
    model.script("worker", [fail(503, headers={"Retry-After": "500"}), say("now it works")])
    daemon = await start("worker")
    task = await daemon.post("/api/tasks", toSession="worker", task="x")
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["result"], ended["attempt"]) == (
        "completed", "now it works", 2,
    )  # fmt: skip
    assert [m["role"] for m in model.of("worker")[-1].messages] == ["system", "user"]


async def test_evidence_is_looked_at(start: Start, model: ScriptedModel) -> None:
    """Evidence must be a file of the workspace or a call of this turn that succeeded."""
    seen: list[JSON] = []

    def work(body: JSON) -> Any:
        messages = body["messages"]
        seen.append(messages[-1])
        task_id = next(m["content"] for m in messages if m["role"] == "user").split()[1]
        results = [m for m in messages if m["role"] == "tool"]

        def done(*evidence: str) -> Any:
            return call("complete_async_task", task_id=task_id, result="r", evidence=[*evidence])

        match len(results):
            case 0:
                return calls(call("list_agents"), call("acknowledge_message", message_id="msg-x"))
            case 2:
                return done("../../config.json")
            case 3:
                return done("missing.txt")
            case 4:
                return done(results[1]["tool_call_id"])
            case 5:
                return done(results[0]["tool_call_id"], "SOUL.md", "/etc/passwd")
            case 6:
                return done(results[0]["tool_call_id"], "SOUL.md")
            case _:
                return say("fine")

    model.rule("worker", work)
    daemon = await start("worker", "other", limits={"maxFailedCallsInARow": 10})
    (daemon.home / "workspaces/worker/SOUL.md").write_text("kind", encoding="utf-8")
    task = await daemon.post("/api/tasks", toSession="worker", task="x")
    ended = await daemon.task(task["id"])
    await daemon.idle()
    errors = [json.loads(m["content"])["error"] for m in seen[2:6]]
    assert errors == ["evidence_missing", "evidence_missing", "evidence_failed", "evidence_missing"]
    assert (ended["status"], ended["verified"]) == ("completed", True)


@pytest.mark.parametrize("who", ["boss", "operator", "worker"])
async def test_cancelling_stops_the_work(start: Start, model: ScriptedModel, who: str) -> None:
    """Creator, operator and worker may call a task off: the work stops, later words are ignored."""
    gate = model.hold("worker")
    daemon = await start("boss", "worker", "other")
    task = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    task_id = task["taskId"]
    await gate.reached()
    assert (await daemon.tool("other", "cancel_async_task", task_id=task_id))[
        "error"
    ] == "unknown_task"
    if who == "operator":
        ended = await daemon.post(f"/api/tasks/{task_id}/cancel", reason="not needed")
    else:
        ended = await daemon.tool(who, "cancel_async_task", task_id=task_id, reason="not needed")
    assert ended["status"] == "cancelled"
    if who != "worker":
        await daemon.until(
            lambda e: e["event"] == "run_failed" and e["session"] == "worker", seconds=1
        )
        assert (await daemon.tool("worker", "complete_async_task", task_id=task_id, result="y"))[
            "error"
        ] == "already_final"
    gate.open()
    await daemon.idle()
    ended = await daemon.get(f"/api/tasks/{task_id}")
    assert (ended["status"], ended["reason"]) == ("cancelled", "not needed")
    assert len(await daemon.verdicts(task_id, "boss")) == 1
    assert await daemon.say("worker", "still there?") == "ok"


async def test_a_deadline_stops_the_work(start: Start, model: ScriptedModel) -> None:
    """The worker's turn is cancelled when the time is over; the task fails with that reason."""
    gate = model.hold("worker")
    daemon = await start("worker")
    task = await daemon.post("/api/tasks", toSession="worker", task="x", deadlineSeconds=2)
    await gate.reached()
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["reason"]) == ("failed", "deadline")
    await daemon.until(lambda e: e["event"] == "run_failed" and e["session"] == "worker")
    gate.open()
    assert len(await daemon.verdicts(task["id"])) == 1


async def test_retry_is_a_new_task(start: Start, model: ScriptedModel) -> None:
    """A failed task is given once more under a new id; a completed one is not."""
    model.script("worker", [fail(401), say("better")])
    daemon = await start("worker")
    task = await daemon.post("/api/tasks", toSession="worker", task="x", context={"k": [1]})
    await daemon.task(task["id"])
    again = await daemon.post(f"/api/tasks/{task['id']}/retry")
    assert (again["retryOf"], again["context"], again["fromSession"]) == (
        task["id"], {"k": [1]}, "operator",
    )  # fmt: skip
    assert (await daemon.task(again["id"]))["result"] == "better"
    with pytest.raises(ApiError, match="completed"):
        await daemon.post(f"/api/tasks/{again['id']}/retry")
    records = latest(daemon.home / "state/tasks.jsonl")
    assert [r["status"] for r in records] == ["failed", "completed"]


async def test_many_delegations_at_once(start: Start, model: ScriptedModel) -> None:
    """Fifty tasks given side by side: all done, every id its own, each verdict told once."""
    daemon = await start("boss", "w1", "w2")
    given = await asyncio.gather(
        *(daemon.post("/api/tasks", toSession=f"w{n % 2 + 1}", task=f"t{n}") for n in range(50))
    )
    assert len({t["id"] for t in given}) == 50
    ended = await asyncio.gather(*(daemon.task(t["id"]) for t in given))
    assert {t["status"] for t in ended} == {"completed"}
    assert model.most_at_once["w1"] == model.most_at_once["w2"] == 1
    await daemon.idle()
    mail = (await daemon.get("/api/messages", limit=1000))["items"]
    assert sorted(m["threadId"] for m in mail) == sorted(t["id"] for t in given)
