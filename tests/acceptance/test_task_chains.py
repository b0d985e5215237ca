"""Tasks that lead to tasks: children, dependencies, and work that goes through three sessions."""

from __future__ import annotations

import json
from typing import Any

from clawd.testing.daemon import Start
from clawd.testing.homes import latest
from clawd.testing.model import ScriptedModel, call, calls, fail, say

JSON = dict[str, Any]


def delegate(target: str, task: str, **more: Any) -> Any:
    """A step that gives a task to another session."""
    return call("delegate_task_async", target_session=target, task=task, **more)


async def test_a_workflow_through_three_sessions(start: Start, model: ScriptedModel) -> None:
    """M24: default -> researcher -> coder -> review, unattended; each result feeds the next."""
    daemon = await start("default", "researcher", "coder", "review")

    def lead(body: JSON) -> Any:
        last = body["messages"][-1]
        text = str(last["content"])
        if last["role"] == "tool":
            return say("waiting for the next result")
        if "build me" in text:
            return delegate("researcher", "find facts")
        if "FACTS" in text:
            return delegate("coder", "write code", context={"facts": "FACTS"})
        if "CODE" in text:
            return delegate("review", "review code", context={"code": "CODE"})
        assert "APPROVED" in text
        return call("send_message_to_session", target_session="operator", message="all done")

    model.rule("default", lead)
    model.script("researcher", [say("FACTS")])
    model.script("coder", [say("CODE")])
    model.script("review", [say("APPROVED")])
    await daemon.say("default", "build me a thing")
    mail = await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"]["to"] == "operator"
    )
    assert mail["message"]["content"] == "all done"
    await daemon.idle()
    tasks = latest(daemon.home / "state/tasks.jsonl")
    assert [(t["toSession"], t["status"], t["result"]) for t in tasks] == [
        ("researcher", "completed", "FACTS"),
        ("coder", "completed", "CODE"),
        ("review", "completed", "APPROVED"),
    ]
    (opened,) = {t["lineage"]["trace"] for t in tasks}
    traces = {e["trace"] for e in daemon.named("run_started")}
    assert traces == {opened}, "every step belongs to the one trace"
    assert "FACTS" in str(model.of("coder")[0].messages[-1]["content"])
    assert "CODE" in str(model.of("review")[0].messages[-1]["content"])


async def test_results_of_children_continue_the_parent(start: Start, model: ScriptedModel) -> None:
    """A worker that delegates on stays processing; the last of its turns gives the result."""
    gate = model.hold("second")
    model.script(
        "lead",
        [calls(delegate("first", "one"), delegate("second", "two")), say("I wait"), say("still")],
    )
    model.script("first", [say("ONE")])
    model.script("second", [say("TWO")])
    daemon = await start("lead", "first", "second")
    task = await daemon.post("/api/tasks", toSession="lead", task="both")
    await gate.reached()
    await daemon.until(lambda e: e["event"] == "run_finished" and e["final_message"] == "still")
    assert (await daemon.get(f"/api/tasks/{task['id']}"))["status"] == "processing"
    model.script("lead", [say("ONE and TWO")])
    gate.open()
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["result"]) == ("completed", "ONE and TWO")
    children = [t for t in (await daemon.get("/api/tasks"))["items"] if "parentTask" in t]
    assert {t["parentTask"] for t in children} == {task["id"]}
    assert len(await daemon.verdicts(task["id"])) == 1


async def test_a_child_that_is_quick_is_heard_all_the_same(
    start: Start, model: ScriptedModel
) -> None:
    """A child that ends while its parent's turn still runs continues the parent as well."""
    model.script("lead", [delegate("quick", "one")])
    model.script("quick", [say("ONE")])
    daemon = await start("lead", "quick")

    def slow_lead(body: JSON) -> Any:
        last = body["messages"][-1]
        if last["role"] == "tool":

            async def later() -> Any:
                await daemon.until(
                    lambda e: e["event"] == "task_updated" and e["task"]["status"] == "completed"
                )
                return say("I wait")

            return later()
        return say("got it: " + ("ONE" if "ONE" in last["content"] else "nothing"))

    model.rule("lead", slow_lead)
    task = await daemon.post("/api/tasks", toSession="lead", task="go")
    assert (await daemon.task(task["id"]))["result"] == "got it: ONE"


async def test_a_session_that_reads_its_mail_itself_goes_on_with_its_task(
    start: Start, model: ScriptedModel
) -> None:
    """WakeOnMessage false: a child's verdict still continues the task that waits for it."""
    model.script("lead", [delegate("helper", "one"), say("I wait"), say("done")])
    daemon = await start("lead", "helper", lead={"a2a": {"wakeOnMessage": False}})
    task = await daemon.post("/api/tasks", toSession="lead", task="go")
    assert (await daemon.task(task["id"]))["result"] == "done"


async def test_two_parents_are_continued_apart(start: Start, model: ScriptedModel) -> None:
    """Children's verdicts that wait together continue each its own parent, one turn each."""

    def lead(body: JSON) -> Any:
        last = body["messages"][-1]
        text = str(last["content"])
        if last["role"] == "tool":
            return say("I wait")
        if text.startswith("[task"):
            return delegate("helper", "for " + ("A" if "job A" in text else "B"))
        return say("result " + "".join(n for n in "AB" if f"part {n}" in text))

    def helper(body: JSON) -> Any:
        return say("part " + ("A" if "for A" in body["messages"][-1]["content"] else "B"))

    model.rule("lead", lead)
    model.rule("helper", helper)
    model.script("boss", [calls(delegate("lead", "job A"), delegate("lead", "job B")), say("ok")])
    gate = model.hold("helper")
    daemon = await start("boss", "lead", "helper")
    await daemon.say("boss", "go")
    await gate.reached()
    await daemon.until(lambda e: e["event"] == "task_updated" and e["task"]["task"] == "for B")
    await daemon.until(lambda e: len(daemon.named("run_finished", "lead")) == 2)
    # Both verdicts come while the lead is busy with something else, so that they wait together.
    busy = model.hold("lead")
    turn = await daemon.prompt("lead", "think")
    await busy.reached()
    gate.open()
    await daemon.until(
        lambda e: sum(t["task"]["status"] == "completed" for t in daemon.named("task_updated")) == 2
    )
    busy.open()
    await daemon.ended(turn)
    await daemon.idle()
    results = {t["task"]: t["result"] for t in (await daemon.get("/api/tasks"))["items"]}
    assert results["job A"] == "result A"
    assert results["job B"] == "result B"


async def test_an_early_verdict_cancels_the_children(start: Start, model: ScriptedModel) -> None:
    """Completing a task while its children are open cancels them and stops their work."""
    gate = model.hold("helper")
    seen: list[str] = []

    def lead(body: JSON) -> Any:
        results = [m for m in body["messages"] if m["role"] == "tool"]
        task_id = body["messages"][1]["content"].split()[1]
        if not results:
            return delegate("helper", "one")
        if len(results) == 1:
            seen.append(json.loads(results[0]["content"].split("\n")[1])["taskId"])

            async def once_it_works() -> Any:
                await gate.reached()
                return call("complete_async_task", task_id=task_id, result="enough")

            return once_it_works()
        return say("bye")

    model.rule("lead", lead)
    daemon = await start("lead", "helper")
    task = await daemon.post("/api/tasks", toSession="lead", task="go")
    assert (await daemon.task(task["id"]))["result"] == "enough"
    child = await daemon.task(seen[0])
    assert child["status"] == "cancelled"
    await daemon.until(lambda e: e["event"] == "run_failed" and e["session"] == "helper")
    await daemon.idle()
    assert len(model.of("lead")) == 3, "nobody is woken for what lost its purpose"
    gate.open()


async def test_a_failed_continuation_fails_the_task(start: Start, model: ScriptedModel) -> None:
    """When the turn that a child's result started cannot be run, the parent does not hang."""
    model.script("lead", [delegate("helper", "one"), say("I wait")])
    daemon = await start("lead", "helper", lead={"limits": {"maxModelCallsPerTurn": 2}})
    model.rule("lead", lambda _: call("list_agents"))
    task = await daemon.post("/api/tasks", toSession="lead", task="go")
    ended = await daemon.task(task["id"])
    assert ended["status"] == "failed"
    assert "2 model calls" in ended["error"]


async def test_cancelling_stops_a_continuation(start: Start, model: ScriptedModel) -> None:
    """A task that goes on with a child's result is stopped like one that has just begun."""
    model.script("lead", [delegate("helper", "one"), say("I wait")])
    daemon = await start("lead", "helper")
    held = model.hold("helper")
    task = await daemon.post("/api/tasks", toSession="lead", task="go")
    await held.reached()
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "lead")
    gate = model.hold("lead")
    held.open()
    await gate.reached()
    await daemon.post(f"/api/tasks/{task['id']}/cancel")
    await daemon.until(lambda e: e["event"] == "run_failed" and e["session"] == "lead", seconds=1)
    gate.open()
    assert (await daemon.task(task["id"]))["status"] == "cancelled"


async def test_dependencies_are_waited_for(start: Start, model: ScriptedModel) -> None:
    """A task starts when what it depends on is done, and has the results in its context."""
    gate = model.hold("one")
    model.script("one", [say("ONE")])
    model.script("two", [say("TWO")])
    daemon = await start("one", "two", "sum")
    first = await daemon.post("/api/tasks", toSession="one", task="1")
    second = await daemon.post("/api/tasks", toSession="two", task="2")
    third = await daemon.post(
        "/api/tasks",
        toSession="sum",
        task="add",
        context={"unit": "m"},
        dependsOn=[first["id"], second["id"]],
    )
    await daemon.task(second["id"])
    assert (await daemon.get(f"/api/tasks/{third['id']}"))["status"] == "pending"
    gate.open()
    ended = await daemon.task(third["id"])
    assert ended["status"] == "completed"
    assert ended["context"] == {
        "unit": "m",
        "dependencies": {first["id"]: "ONE", second["id"]: "TWO"},
    }
    assert '"TWO"' in model.of("sum")[0].messages[-1]["content"]


async def test_a_failed_dependency_fails_the_dependant(start: Start, model: ScriptedModel) -> None:
    """What depends on a task that failed fails too, and so on down the chain; all are told."""
    model.script("one", [fail(401)])
    gate = model.hold("one")
    daemon = await start("one", "two")
    first = await daemon.post("/api/tasks", toSession="one", task="1")
    second = await daemon.post("/api/tasks", toSession="two", task="2", dependsOn=[first["id"]])
    third = await daemon.post("/api/tasks", toSession="two", task="3", dependsOn=[second["id"]])
    gate.open()
    for task in (second, third):
        ended = await daemon.task(task["id"])
        assert (ended["status"], ended["reason"]) == ("failed", "dependency")
        assert len(await daemon.verdicts(task["id"])) == 1
    late = await daemon.post("/api/tasks", toSession="two", task="4", dependsOn=[first["id"]])
    assert (late["status"], late["reason"]) == ("failed", "dependency")
    assert model.of("two") == []
