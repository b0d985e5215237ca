"""``clawd pause``: model calls stop within a second, over restarts too; nothing is lost by it."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.model import Gate, ScriptedModel, call, calls, hang, say, slow, tool

JSON = dict[str, Any]


async def status(daemon: RunningDaemon, session: str) -> str:
    """What a listing says of a session."""
    return str((await daemon.get(f"/api/sessions/{session}"))["status"])


async def suspended(daemon: RunningDaemon, turn: str) -> None:
    """Wait until the turn stands still."""
    await daemon.until(lambda e: e["event"] == "run_suspended" and e["run_id"] == turn)


async def test_a_hanging_model_is_let_go_within_a_second(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: all paused; the request is dropped at once, the turn goes on and ends after it."""
    model.script("a", [hang(), say("done")])
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "work")
    await model.until(lambda: model.at_once["a"] == 1)
    began = time.monotonic()
    answer = await daemon.post("/api/pause")
    await model.until(lambda: model.at_once["a"] == 0)
    assert time.monotonic() - began < 1
    assert (answer["paused"], answer["turns"]) == (True, [turn])
    await suspended(daemon, turn)
    assert [await status(daemon, name) for name in ("a", "b")] == ["paused", "paused"]
    assert (await daemon.get("/api/status"))["paused"] == {"all": True, "sessions": []}
    assert sorted((await daemon.post("/api/resume"))["sessions"]) == ["a", "b"]
    assert await daemon.ended(turn) == "done"
    assert [m["content"] for m in model.of("a")[-1].messages if m["role"] == "user"] == ["work"]
    (started, again) = daemon.named("run_started")
    assert (started.get("attempt", 1), again.get("attempt", 1)) == (1, 1)
    assert (started.get("resumed", False), again["resumed"]) == (False, True)
    assert not daemon.named("run_failed")


async def test_it_outlives_a_kill(start: Start, model: ScriptedModel) -> None:
    """Guards: after ``kill -9`` all stands still as before, and resume goes on from there."""
    model.script("a", [hang(), say("done")])
    daemon = await start("a", "b", "c")
    turn = await daemon.prompt("a", "work")
    await model.until(lambda: model.at_once["a"] == 1)
    await daemon.post("/api/pause")
    waiting = await daemon.prompt("b", "mine")
    sent = await daemon.post("/api/messages", to="c", content="hello")
    assert sent["targetStatus"] == "paused"
    await daemon.kill()
    await daemon.start()
    assert await status(daemon, "c") == "paused"
    assert (await daemon.get("/api/messages", session="c"))["items"][0].get("state") == "stored"
    assert len(model.requests) == 1
    await daemon.post("/api/resume")
    assert await daemon.ended(turn) == "done"
    assert await daemon.ended(waiting) == "ok"
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "c")
    assert {n: len(model.of(n)) for n in "abc"} == {"a": 2, "b": 1, "c": 1}
    await daemon.stop()
    await daemon.start()
    assert await status(daemon, "a") == "idle"


async def test_one_session_alone(start: Start, model: ScriptedModel) -> None:
    """Guards: one is paused, the others work on; its state is in its entry over a restart."""
    daemon = await start("a", "b")
    assert (await daemon.post("/api/pause", session="a"))["turns"] == []
    accepted = await daemon.post("/api/sessions/a/prompt", text="hello")
    assert (accepted["paused"], accepted["state"]) == (True, "started")
    told = await daemon.tool("b", "send_message_to_session", target_session="a", message="hi")
    assert told["targetStatus"] == "paused"
    agents = (await daemon.tool("b", "list_agents"))["agents"]
    assert [a["status"] for a in agents] == ["paused"]
    assert await daemon.say("b", "hello") == "ok"
    await daemon.stop()
    await daemon.start()
    assert (await daemon.get("/api/status"))["paused"] == {"all": False, "sessions": ["a"]}
    assert not model.of("a")
    with pytest.raises(ApiError, match="no session"):
        await daemon.post("/api/pause", session="nobody")
    assert (await daemon.post("/api/resume", session="a"))["sessions"] == ["a"]
    assert await daemon.ended(accepted["turn"]) == "ok"
    await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"].get("state") == "read"
    )
    assert len(model.of("a")) == 2


async def test_a_new_session_is_paused_with_all_and_not_with_one_of_its_name(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: who comes while all stand still does so too; a name that comes again begins anew."""
    new = {"session_id": "new", "provider_template": "scripted", "name": "New"}
    daemon = await start("a", "b")
    await daemon.post("/api/pause")
    await daemon.post("/api/sessions", **new)
    assert await status(daemon, "new") == "paused"
    await daemon.post("/api/resume")
    await daemon.post("/api/pause", session="new")
    await daemon.ask("DELETE", "/api/sessions/new")
    assert (await daemon.get("/api/status"))["paused"]["sessions"] == []
    workspace = daemon.home / "workspaces" / "new"
    workspace.rename(workspace.with_name("old"))
    await daemon.post("/api/sessions", **new)
    assert await daemon.say("new", "hello") == "ok"


async def test_a_text_that_was_cut_off_is_asked_for_anew(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: half an answer stays out of the conversation; it holds the whole one, once."""
    gate = Gate()
    model.script("a", [slow("one two three", gate), say("one two three")])
    daemon = await start("a")
    turn = await daemon.prompt("a", "count")
    await gate.reached()
    await daemon.until(lambda e: e["event"] == "text_message_content")
    await daemon.post("/api/pause", session="a")
    cut = await daemon.until(lambda e: e["event"] == "text_message_end")
    assert cut["partial"] is True
    await daemon.post("/api/resume")
    assert await daemon.ended(turn) == "one two three"
    await daemon.say("a", "and?")
    said = [m["content"] for m in model.of("a")[-1].messages if m["role"] == "assistant"]
    assert said == ["one two three"]


async def test_tools_in_flight_are_interrupted(start: Start, model: ScriptedModel) -> None:
    """Guards: a call that was cut off has one result, which says so; it is not made again."""
    hold = model.hold("b")
    ask = '{"target_session": "b", "message": "q", "wait_seconds": 300}'
    model.script("a", [calls(tool("send_message_to_session", ask, "long")), say("done")])
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "ask b")
    await hold.reached()
    await daemon.post("/api/pause", session="a")
    hold.open()
    await daemon.idle("b")
    assert len(model.of("a")) == 1
    await daemon.post("/api/resume", session="a")
    assert await daemon.ended(turn) == "done"
    results = [m for m in model.of("a")[1].messages if m["role"] == "tool"]
    assert [json.loads(r["content"])["error"] for r in results] == ["interrupted"]
    assert len([m for m in (await mail(daemon, "b")) if m["from"] == "a"]) == 1


async def test_an_answer_that_a_wait_got_is_read_all_the_same(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: what entered a turn by a wait before the pause is read, and starts no turn."""
    ask: JSON = {"target_session": "b", "message": "q", "wait_seconds": 300}
    model.script("b", [say("the answer")])
    model.script("a", [call("send_message_to_session", **ask), hang(), say("done")])
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "ask b")
    await model.until(lambda: len(model.of("a")) == 2 and model.at_once["a"] == 1)
    await daemon.post("/api/pause", session="a")
    (unread,) = await mail(daemon, "a")
    assert not unread["read"]
    await daemon.post("/api/resume", session="a")
    assert await daemon.ended(turn) == "done"
    await daemon.until(
        lambda e: (
            e["event"] == "session_message"
            and e["message"]["id"] == unread["id"]
            and e["message"]["read"]
        )
    )
    await daemon.idle()
    assert len(model.of("a")) == 3


async def mail(daemon: RunningDaemon, session: str) -> list[JSON]:
    """A mailbox."""
    return list((await daemon.get("/api/messages", session=session))["items"])


async def test_deadlines_run_on(start: Start, model: ScriptedModel) -> None:
    """Guards: a task of a paused session fails at its deadline, and is not worked on after."""
    model.script("b", [hang()])
    daemon = await start("b")
    task = await daemon.post("/api/tasks", toSession="b", task="slow", deadlineSeconds=4)
    await model.until(lambda: model.at_once["b"] == 1)
    await daemon.post("/api/pause")
    assert (await daemon.post("/api/tasks", toSession="b", task="next"))["targetStatus"] == "paused"
    assert (await daemon.task(task["id"]))["reason"] == "deadline"
    await daemon.post("/api/resume")
    await daemon.until(
        lambda e: e["event"] == "task_updated" and e["task"].get("status") == "completed"
    )
    await daemon.idle()
    assert len(model.of("b")) == 2


async def test_a_paused_turn_can_be_stopped_for_good(start: Start, model: ScriptedModel) -> None:
    """Guards: Esc while it stands still ends the turn; resume begins with what came after."""
    model.script("a", [hang(), say("second")])
    daemon = await start("a")
    turn = await daemon.prompt("a", "first")
    await model.until(lambda: model.at_once["a"] == 1)
    await daemon.post("/api/pause", session="a")
    assert (await daemon.post("/api/sessions/a/cancel"))["turn"] == turn
    with pytest.raises(ApiError, match="cancelled"):
        await daemon.ended(turn)
    second = await daemon.prompt("a", "second")
    await daemon.post("/api/resume")
    assert await daemon.ended(second) == "second"


async def test_nothing_counts_against_a_turn_that_is_paused_often(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: five pauses cost no attempt of a task, which completes after them."""
    model.script("b", [hang()] * 5 + [call("list_agents"), say("done")])
    daemon = await start("b")
    task = await daemon.post("/api/tasks", toSession="b", task="work")
    for number in range(5):
        await model.until(partial(_asked, model, number + 1))
        await daemon.post("/api/pause")
        await daemon.post("/api/resume")
    ended = await daemon.task(task["id"])
    assert (ended["status"], ended["result"], ended["attempt"]) == ("completed", "done", 1)


def _asked(model: ScriptedModel, times: int) -> bool:
    return len(model.of("b")) == times


async def test_compaction_is_a_model_call_too(start: Start, model: ScriptedModel) -> None:
    """Guards: no summary is asked for while a session stands still."""
    daemon = await start("a", a={"context": {"keepRecentMessages": 1}})
    for text in ("one", "two"):
        await daemon.say("a", text)
    model.script("a", [hang()])
    await daemon.post("/api/pause", session="a")
    with pytest.raises(ApiError, match="is paused"):
        await daemon.post("/api/sessions/a/compact")
    assert len(model.of("a")) == 2


async def test_what_was_cut_off_costs_the_turn_what_the_ledger_says(
    start: Start, model: ScriptedModel
) -> None:
    """Budgets: the turn and its trace count a call that was cut off just as ``usage`` does."""
    model.script("a", [hang(), hang()])
    daemon = await start("a")
    turn = await daemon.prompt("a", "work")
    await model.until(lambda: model.at_once["a"] == 1)
    await daemon.post("/api/pause")
    await suspended(daemon, turn)
    await daemon.post("/api/resume")
    await model.until(lambda: len(model.requests) == 2 and model.at_once["a"] == 1)
    await daemon.post("/api/sessions/a/cancel")
    await daemon.until(lambda e: e["event"] == "run_failed" and e["run_id"] == turn)
    (used,) = (await daemon.get("/api/usage", by="trace"))["items"]
    shown = await daemon.get(f"/api/traces/{turn}")
    (listed,) = (await daemon.get("/api/traces"))["items"]
    ended = daemon.named("run_failed")[0]
    assert used["inputTokens"] > 0
    for usage in (shown["usage"], shown["steps"][0]["usage"], listed["usage"], ended["usage"]):
        assert (usage["inputTokens"], usage["estimated"]) == (used["inputTokens"], True)
    reported = sum(e["usage"]["inputTokens"] for e in daemon.named("usage"))
    assert reported == used["inputTokens"]
