"""What becomes of tasks when the daemon dies, and when time passes while it is down."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from watchfiles import awatch

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import latest, lines_of
from clawd.testing.model import ScriptedModel, call, say

JSON = dict[str, Any]


def board(daemon: RunningDaemon) -> Path:
    """The file of all tasks."""
    return daemon.home / "state/tasks.jsonl"


def rewrite(path: Path, records: list[JSON]) -> None:
    """Put these lines in place of a log, while nobody has it open."""
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")


def ago(hours: float) -> str:
    """A time so many hours back, as it stands in the files."""
    moment = datetime.now(UTC) - timedelta(hours=hours)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_killed_task_goes_on_from_its_transcript(
    start: Start, model: ScriptedModel
) -> None:
    """M14: after a kill in the middle the turn goes on behind what it had already done."""
    model.script("worker", [call("list_agents")])
    daemon = await start("worker", "other")
    gates = [model.hold("worker"), model.hold("worker")]
    gates[0].open()
    task = await daemon.post("/api/tasks", toSession="worker", task="x")
    await gates[1].reached()
    await daemon.kill()
    model.script("worker", [say("finished")])
    await daemon.start()
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["result"], ended["attempt"]) == ("completed", "finished", 2)
    assert ended["verified"] is True, "the tool of the first start counts"
    roles = [m["role"] for m in model.of("worker")[-1].messages]
    assert roles == ["system", "user", "assistant", "tool"], "nothing is asked or done twice"
    assert len(await daemon.verdicts(task["id"])) == 1
    gates[1].open()


async def test_a_task_whose_turn_went_on_is_not_begun_anew(
    start: Start, model: ScriptedModel
) -> None:
    """M14: after a restart a turn ends with a part of its task open; the task has no second one."""
    daemon = await start("boss", "lead", "worker")
    interrupted, part = model.hold("lead"), model.hold("worker")
    task = await daemon.tool("boss", "delegate_task_async", target_session="lead", task="the whole")
    await interrupted.reached()
    model.script(
        "lead",
        [
            call("delegate_task_async", target_session="worker", task="a part"),
            say("it is on its way"),
            say("all done"),
        ],
    )
    await daemon.kill()
    interrupted.open()
    await daemon.start()
    await part.reached()
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "lead")
    await daemon.idle("lead")
    part.open()
    ended = await daemon.task(task["taskId"])
    assert (ended["status"], ended["result"]) == ("completed", "all done")
    history = lines_of(daemon.home / "workspaces/lead/history.jsonl")
    asked = [line for line in history if "the whole" in str(line.get("message", ""))]
    assert len(asked) == 1


async def test_a_task_that_kills_the_daemon_fails_in_the_end(
    start: Start, model: ScriptedModel
) -> None:
    """M14: three starts that the daemon did not survive are the last; the creator is told why."""
    daemon = await start("worker")
    gates = [model.hold("worker") for _ in range(4)]
    task = await daemon.post("/api/tasks", toSession="worker", task="x")
    for gate in gates[:3]:
        await gate.reached()
        await daemon.kill()
        await daemon.start()
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["reason"], ended["attempt"]) == ("failed", "attempts", 3)
    assert len(await daemon.verdicts(task["id"])) == 1
    assert len(model.of("worker")) == 3
    gates[3].open()
    assert await daemon.say("worker", "and now?") == "ok"


async def test_an_orderly_stop_costs_no_attempt(start: Start, model: ScriptedModel) -> None:
    """A restart by hand is not the task's fault, however often it happens."""
    daemon = await start("worker")
    gates = [model.hold("worker") for _ in range(5)]
    task = await daemon.post("/api/tasks", toSession="worker", task="x")
    for gate in gates[:4]:
        await gate.reached()
        await daemon.stop()
        await daemon.start()
    gates[4].open()
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["result"], ended["attempt"]) == ("completed", "ok", 1)


async def test_the_creator_is_told_once_over_a_kill(start: Start, model: ScriptedModel) -> None:
    """M14: dying between the verdict and telling it, or right after, the creator is told once."""
    daemon = await start("boss", "worker")
    task = await daemon.tool("boss", "delegate_task_async", target_session="worker", task="x")
    await daemon.task(task["taskId"])
    await daemon.idle()
    await daemon.kill()
    mail = daemon.home / "workspaces/boss/session_messages.jsonl"
    rewrite(mail, [m for m in lines_of(mail) if m["threadId"] != task["taskId"]])
    (daemon.home / "workspaces/boss/history.jsonl").unlink()
    asked = len(model.of("boss"))
    for _ in range(2):
        await daemon.start()
        await daemon.idle()
        await daemon.kill()
    assert [m["threadId"] for m in latest(mail)] == [task["taskId"]]
    assert len(model.of("boss")) == asked + 1


async def test_a_parent_waits_for_its_children_over_a_kill(
    start: Start, model: ScriptedModel
) -> None:
    """A parent is not begun anew after a kill; its children's results continue it."""
    model.script("lead", [call("delegate_task_async", target_session="helper", task="part")])
    model.script("lead", [say("I wait")])
    gate = model.hold("helper")
    daemon = await start("lead", "helper")
    task = await daemon.post("/api/tasks", toSession="lead", task="go")
    await gate.reached()
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "lead")
    await daemon.idle("lead")
    await daemon.kill()
    model.script("lead", [say("the end")])
    await daemon.start()
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["result"]) == ("completed", "the end")
    assert len(model.of("lead")) == 3
    gate.open()


async def test_a_part_whose_verdict_is_not_told_yet_is_waited_for(
    start: Start, model: ScriptedModel
) -> None:
    """Dying between a part's end and telling it: the whole goes on with it, not from the start."""
    gate = model.hold("helper")
    daemon = await start("boss", "lead", "helper")
    model.script("lead", [call("delegate_task_async", target_session="helper", task="part")])
    model.script("lead", [say("I wait"), say("put together")])
    task = await daemon.tool("boss", "delegate_task_async", target_session="lead", task="the whole")
    await gate.reached()
    await daemon.idle("lead")
    await daemon.kill()
    part = next(t for t in latest(board(daemon)) if t["toSession"] == "helper")
    over = part | {"status": "completed", "result": "r", "completedAt": ago(0)}
    rewrite(board(daemon), [*lines_of(board(daemon)), over])
    await daemon.start()
    ended = await daemon.task(task["taskId"])
    assert (ended["status"], ended["result"], ended["attempt"]) == ("completed", "put together", 1)
    history = lines_of(daemon.home / "workspaces/lead/history.jsonl")
    assert len([line for line in history if "the whole" in str(line.get("message", ""))]) == 1
    gate.open()


async def test_children_of_a_parent_that_ended_are_cancelled_after_a_kill(
    start: Start, model: ScriptedModel
) -> None:
    """Dying between a parent's verdict and the end of its children leaves no orphan at work."""
    model.script("lead", [call("delegate_task_async", target_session="helper", task="part")])
    model.script("lead", [say("I wait")])
    gate = model.hold("helper")
    daemon = await start("lead", "helper")
    task = await daemon.post("/api/tasks", toSession="lead", task="go")
    await gate.reached()
    await daemon.kill()
    parent = next(t for t in latest(board(daemon)) if t["id"] == task["id"])
    over = parent | {"status": "completed", "result": "r", "completedAt": ago(0)}
    rewrite(board(daemon), [*lines_of(board(daemon)), over])
    await daemon.start()
    await daemon.idle()
    states = {t["toSession"]: t["status"] for t in (await daemon.get("/api/tasks"))["items"]}
    assert states == {"lead": "completed", "helper": "cancelled"}
    gate.open()


async def test_a_deadline_runs_on_while_the_daemon_is_down(
    start: Start, model: ScriptedModel
) -> None:
    """A deadline that passed meanwhile fails the task at the start."""
    gate = model.hold("worker")
    daemon = await start("worker")
    task = await daemon.post("/api/tasks", toSession="worker", task="x", deadlineSeconds=3600)
    await gate.reached()
    await daemon.kill()
    records = latest(board(daemon))
    rewrite(board(daemon), [r | {"deadline": ago(0.1)} for r in records])
    await daemon.start()
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["reason"]) == ("failed", "deadline")
    await daemon.idle()
    gate.open()


async def test_a_verdict_is_told_after_a_long_time_down(start: Start, model: ScriptedModel) -> None:
    """Killed between a verdict and telling it, and down for longer than tasks are kept: told."""
    daemon = await start("worker")
    task = await daemon.post("/api/tasks", toSession="worker", task="x")
    await daemon.task(task["id"])
    await daemon.idle()
    await daemon.stop()
    rewrite(board(daemon), [r | {"completedAt": ago(48)} for r in latest(board(daemon))])
    (daemon.home / "state/operator_messages.jsonl").unlink()
    daemon.events.clear()
    await daemon.start()
    (told,) = (await daemon.get("/api/messages", thread=task["id"]))["items"]
    assert "ok" in told["content"]
    assert not (await daemon.get("/api/tasks"))["items"]


async def test_old_tasks_leave_and_open_ones_stay(start: Start, model: ScriptedModel) -> None:
    """M23: final tasks are listed after 23 h and gone after 24 h, also from the file.

    Open ones never go, nor does what they depend on.
    """
    daemon = await start("worker", "held", held={"enabled": False})
    done = [await daemon.post("/api/tasks", toSession="worker", task=f"t{n}") for n in range(3)]
    for task in done:
        await daemon.task(task["id"])
    await daemon.idle()
    await daemon.stop()
    young, old, needed = (t["id"] for t in done)
    records = {r["id"]: r for r in latest(board(daemon))}
    records[young] |= {"createdAt": ago(23), "completedAt": ago(23)}
    for task_id in (old, needed):
        records[task_id] |= {"createdAt": ago(25), "completedAt": ago(24.01)}
    waiting = records[young] | {"status": "pending", "createdAt": ago(99), "toSession": "held"}
    for key in ("result", "completedAt", "startedAt", "attempt", "verified"):
        waiting.pop(key, None)
    human = waiting | {"id": "task-human", "toSession": "operator", "dependsOn": []}
    waiting |= {"id": "task-waiting", "dependsOn": [needed]}
    rewrite(board(daemon), [*records.values(), waiting, human])
    await daemon.start()
    listed = {t["id"] for t in (await daemon.get("/api/tasks"))["items"]}
    assert listed == {young, "task-waiting", "task-human"}
    kept = {r["id"] for r in lines_of(board(daemon))}
    assert kept == {young, needed, "task-waiting", "task-human"}


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_running_daemon_forgets_old_tasks_by_itself(start: Start) -> None:
    """M23: no restart is needed; what is open stays, in the file with what it depends on."""
    hours = 2 / 3600
    daemon = await start("worker", "held", retention={"tasksHours": hours}, held={"enabled": False})
    done = [await daemon.post("/api/tasks", toSession="worker", task=f"t{n}") for n in range(2)]
    old, needed = [(await daemon.task(task["id"]))["id"] for task in done]
    human = await daemon.post("/api/tasks", toSession="operator", fromSession="worker", task="x")
    waits = await daemon.post(
        "/api/tasks", toSession="operator", fromSession="worker", task="x", dependsOn=[needed]
    )
    assert {t["id"] for t in (await daemon.get("/api/tasks"))["items"]} >= {old, needed}
    async with asyncio.timeout(120):
        # The file is rewritten when tasks leave; nobody is told otherwise.
        async for _ in awatch(daemon.home / "state"):
            if old not in {r["id"] for r in lines_of(board(daemon))}:
                break
    left = {human["id"], waits["id"]}
    assert {t["id"] for t in (await daemon.get("/api/tasks"))["items"]} == left
    assert {r["id"] for r in lines_of(board(daemon))} == left | {needed}
