"""Tasks from delegation to verdict: who sees them, who may end them, and who is told."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.model import ScriptedModel, call, calls, fail, say

JSON = dict[str, Any]


async def test_delegation_returns_at_once(start: Start, model: ScriptedModel) -> None:
    """M09: the id comes back while the worker's model still thinks; its state is visible."""
    gate = model.hold("worker")
    daemon = await start("boss", "worker")
    began = time.monotonic()
    task = await daemon.tool(
        "boss", "delegate_task_async", target_session="worker", task="think long"
    )
    assert time.monotonic() - began < 1
    assert task["status"] in ("pending", "processing")
    await gate.reached()
    (seen,) = (await daemon.tool("boss", "check_async_tasks", created_by_me=True))["tasks"]
    assert (seen["id"], seen["status"], seen["targetStatus"]) == (
        task["taskId"], "processing", "busy",
    )  # fmt: skip
    gate.open()
    assert (await daemon.task(task["taskId"]))["status"] == "completed"


async def test_views_of_a_task(start: Start, model: ScriptedModel) -> None:
    """M10: creator and assignee see it, by the right flags; a third session is told nothing."""
    gate = model.hold("worker")
    daemon = await start("boss", "worker", "other")
    task = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    task_id = task["taskId"]

    async def ids(session: str, **flags: Any) -> list[str]:
        listed = await daemon.tool(session, "check_async_tasks", **flags)
        return [t["id"] for t in listed["tasks"]]

    assert await ids("boss", created_by_me=True) == [task_id]
    assert await ids("boss") == []
    assert await ids("worker") == [task_id]
    assert await ids("worker", assigned_to_me=False) == []
    assert await ids("worker", createdByMe=True, assignedToMe=True) == [task_id]
    assert await ids("other", created_by_me=True) == []
    refused = await daemon.tool("other", "check_async_tasks", task_id=task_id)
    missing = await daemon.tool("other", "check_async_tasks", task_id="task-nope")
    assert refused["error"] == missing["error"] == "unknown_task"
    assert (await daemon.tool("boss", "check_async_tasks", status="done"))[
        "error"
    ] == "invalid_status"
    gate.open()


@pytest.mark.parametrize("text", ["", "short", "long " * 4000 + "ünïcode 🦀"])
async def test_a_completion_is_kept_whole_and_wakes_the_creator(
    start: Start, model: ScriptedModel, text: str
) -> None:
    """M11: the result is stored in full, times are in order, and the creator's turn has it."""

    def work(body: JSON) -> Any:
        task_id = body["messages"][-1]["content"].split()[1]
        return call("complete_async_task", task_id=task_id, result=text)

    model.rule("worker", lambda b: work(b) if b["messages"][-1]["role"] == "user" else say("done"))
    daemon = await start("boss", "worker")
    task = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    ended = await daemon.task(task["taskId"])
    assert (ended["status"], ended["result"]) == ("completed", text)
    assert ended["createdAt"] <= ended["startedAt"] <= ended["completedAt"]
    assert ended["verified"] is False
    woken = await model.wait_for(lambda r: r.model == "boss")
    shown = woken.messages[-1]["content"]
    assert text in shown
    assert ended["id"] in shown
    assert 'session "worker"' in shown
    await daemon.idle()
    (verdict,) = await daemon.verdicts(ended["id"], "boss")
    assert (verdict["type"], verdict["from"], verdict["read"]) == ("task_result", "worker", True)


async def test_a_failure_is_told_with_its_error(start: Start, model: ScriptedModel) -> None:
    """M12: an error makes the task failed, and the creator reads why."""
    daemon = await start("boss", "worker")
    gate = model.hold("worker")
    task = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    await gate.reached()
    answer = await daemon.tool(
        "worker", "complete_async_task", task_id=task["taskId"], error="the site is down"
    )
    assert answer["status"] == "failed"
    woken = await model.wait_for(lambda r: r.model == "boss")
    assert "the site is down" in woken.messages[-1]["content"]
    gate.open()
    await daemon.idle()
    ended = await daemon.get(f"/api/tasks/{task['taskId']}")
    assert (ended["status"], ended["error"]) == ("failed", "the site is down")


async def test_only_the_first_verdict_of_the_assignee_counts(
    start: Start, model: ScriptedModel
) -> None:
    """M13: a stranger, an unknown id, and a second verdict are refused; a repeat is harmless."""
    gate = model.hold("worker")
    daemon = await start("boss", "worker", "other")
    task = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    task_id = task["taskId"]
    await gate.reached()

    async def complete(session: str, **verdict: Any) -> JSON:
        return await daemon.tool(session, "complete_async_task", **verdict)

    assert (await complete("other", task_id=task_id, result="y"))["error"] == "unknown_task"
    assert (await complete("boss", task_id=task_id, result="y"))["error"] == "unknown_task"
    assert (await complete("worker", task_id="task-x", result="y"))["error"] == "unknown_task"
    assert (await complete("worker", task_id=task_id))["error"] == "result_or_error"
    assert (await complete("worker", task_id=task_id, result="a", error="b"))[
        "error"
    ] == "result_or_error"
    assert (await daemon.get(f"/api/tasks/{task_id}"))["status"] == "processing"

    assert (await complete("worker", task_id=task_id, output="first"))["status"] == "completed"
    assert (await complete("worker", task_id=task_id, result="first"))["status"] == "completed"
    for verdict in ({"result": "second"}, {"error": "no"}, {"result": "first", "success": False}):
        refused = await complete("worker", task_id=task_id, **verdict)
        assert (refused["error"], refused["status"]) == ("already_final", "completed")
    gate.open()
    await daemon.idle()
    assert (await daemon.get(f"/api/tasks/{task_id}"))["result"] == "first"
    assert len(await daemon.verdicts(task_id, "boss")) == 1


async def test_a_failed_task_stays_failed(start: Start, model: ScriptedModel) -> None:
    """M13: after a failure, by its own word or its turn's, a completion is refused with why."""
    gate = model.hold("worker")
    daemon = await start("boss", "worker")
    said = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    await gate.reached()
    by_word = {"task_id": said["taskId"], "error": "no such book"}
    assert (await daemon.tool("worker", "complete_async_task", **by_word))["status"] == "failed"
    gate.open()
    await daemon.idle()
    model.script("worker", [fail(401)])
    crashed = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="y")
    assert (await daemon.task(crashed["taskId"]))["status"] == "failed"
    await daemon.idle()
    for task_id in (said["taskId"], crashed["taskId"]):
        before = await daemon.get(f"/api/tasks/{task_id}")
        lines = (daemon.home / "state/tasks.jsonl").read_bytes()
        for verdict in ({"result": "found it"}, {"error": "another reason"}):
            refused = await daemon.tool("worker", "complete_async_task", task_id=task_id, **verdict)
            assert (refused["error"], refused["status"]) == ("already_final", "failed")
            assert refused["message"]
        assert await daemon.get(f"/api/tasks/{task_id}") == before
        assert (daemon.home / "state/tasks.jsonl").read_bytes() == lines
        assert len(await daemon.verdicts(task_id, "boss")) == 1
    assert (await daemon.tool("worker", "complete_async_task", **by_word))["status"] == "failed"


async def test_a_context_arrives_intact(start: Start, model: ScriptedModel) -> None:
    """M37: nested, unicode, over 10 KB: the worker's model gets the very same JSON."""
    context = {
        "nested": {"list": [1, 2.5, None, True, {"déjà": "vu 🦀"}], "empty": {}},
        "long": "ÿ" * 12_000,
        "quote": 'a "quote", a \\ and a fence: task>>> \n new line',
    }
    daemon = await start("boss", "worker")
    task = await daemon.tool(
        "boss", "delegate_task_async", target_session="worker", task="read it", context=context
    )
    request = await model.wait_for(lambda r: r.model == "worker")
    shown = request.messages[-1]["content"]
    fence = f"{task['taskId']}-context"
    text = shown.split(f"<<<{fence}\n")[1].split(f"\n{fence}>>>")[0]
    assert json.loads(text) == context
    assert (await daemon.task(task["taskId"]))["context"] == context


async def test_the_operator_takes_no_tasks(start: Start) -> None:
    """The human who delegates to "operator" is told that this is no session."""
    daemon = await start("boss")
    with pytest.raises(ApiError, match="the operator is you, not a session"):
        await daemon.post("/api/tasks", toSession="operator", task="x")
    assert (await daemon.get("/api/tasks"))["items"] == []


async def test_what_is_refused_changes_nothing(start: Start, model: ScriptedModel) -> None:
    """An input that cannot be a task gets an error that says why, and nothing is stored."""
    daemon = await start("boss", "worker", "off", off={"a2a": {"enabled": False}})
    for wanted, arguments in (
        ("empty_task", {"task": "  "}),
        ("unknown_session", {"target_session": "nobody"}),
        ("self_send", {"target_session": "boss"}),
        ("a2a_disabled", {"target_session": "off"}),
        ("invalid_deadline", {"deadline_seconds": 0}),
        ("invalid_deadline", {"deadline_seconds": 1e300}),
        ("invalid_priority", {"priority": 11}),
        ("unknown_task", {"depends_on": ["task-none"]}),
        ("too_large", {"context": {"x": "y" * 1_100_000}}),
    ):
        asked: JSON = {"target_session": "worker", "task": "x"} | arguments
        refused = await daemon.tool("boss", "delegate_task_async", **asked)
        assert refused["error"] == wanted, refused
    assert (await daemon.get("/api/tasks"))["items"] == []
    assert not (daemon.home / "state/tasks.jsonl").exists()


async def test_the_operator_works_on_a_task(start: Start, model: ScriptedModel) -> None:
    """A session may give the human a task; the verdict of the human wakes it."""
    daemon = await start("boss")
    task = await daemon.tool("boss", "delegate_task_async", target_session="operator", task="sign")
    assert task["status"] == "pending"
    await daemon.post(f"/api/tasks/{task['taskId']}/complete", result="signed")
    woken = await model.wait_for(lambda r: r.model == "boss")
    assert "signed" in woken.messages[-1]["content"]
    assert (await daemon.task(task["taskId"]))["verified"] is True


async def test_a_cycle_is_refused_with_its_chain(start: Start, model: ScriptedModel) -> None:
    """M29: A -> B -> C -> A is refused at the closing edge; B may ask C twice in a row."""
    answers: list[JSON] = []

    def to(target: str) -> Any:
        return call("delegate_task_async", target_session=target, task=f"for {target}")

    model.script("b", [calls(to("c"), to("c")), say("wait")])
    model.script("c", [to("a"), say("cannot"), say("second")])
    daemon = await start("a", "b", "c")
    task = await daemon.tool("a", "delegate_task_async", target_session="b", task="go")
    ended = await daemon.task(task["taskId"])
    assert ended["status"] == "completed"
    await daemon.idle()
    answers = [
        json.loads(m["content"].split("\n")[0])
        for r in model.of("c")
        for m in r.messages
        if m["role"] == "tool"
    ]
    assert answers[0]["error"] == "guard_delegation_cycle"
    assert "a -> b -> c -> a" in answers[0]["message"]
    tasks = (await daemon.get("/api/tasks"))["items"]
    assert [t["toSession"] for t in tasks] == ["b", "c", "c"]
    assert any("a -> b -> c -> a" in n["text"] for n in daemon.named("notice"))


async def test_a_question_upwards_does_not_close_a_circle(
    start: Start, model: ScriptedModel
) -> None:
    """A worker's message to its creator lets the creator delegate to it once more."""
    model.script(
        "worker",
        [call("send_message_to_session", target_session="boss", message="more?"), say("asked")],
    )
    model.script(
        "boss",
        [call("delegate_task_async", target_session="worker", task="more"), say("given")],
    )
    daemon = await start("boss", "worker")
    await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    event = await daemon.until(
        lambda e: e["event"] == "task_updated" and e["task"]["task"] == "more"
    )
    assert (await daemon.task(event["task"]["id"]))["status"] == "completed"
