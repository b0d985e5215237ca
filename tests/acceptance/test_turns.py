"""The turn: tools side by side, what is refused, what is stopped, what waits in which order."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import Gate, ScriptedModel, call, calls, fail, raw_call, say, slow, tool

JSON = dict[str, Any]


def results(messages: list[JSON]) -> dict[str, str]:
    """The tool results of a request, by the id of their call."""
    return {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}


async def test_a_denied_tool_is_refused_at_dispatch(start: Start, model: ScriptedModel) -> None:
    """M32: a denied tool is in no list, and a model that names it all the same is refused."""
    model.script("a", [call("broadcast_message", message="hi"), say("sorry")])
    daemon = await start("a", "b", a={"tools": {"deny": ["broadcast_*"]}})
    assert await daemon.say("a", "tell everybody") == "sorry"
    first, second = model.of("a")
    assert "broadcast_message" not in [t["function"]["name"] for t in first.body["tools"]]
    (refused,) = results(second.messages).values()
    assert json.loads(refused)["error"] == "tool_denied"
    assert model.of("b") == []


async def test_a_denial_holds_within_a_running_turn(start: Start, model: ScriptedModel) -> None:
    """M32: what is denied while the model thinks is refused when it then calls it."""
    model.script("a", [call("send_message_to_session", target_session="b", message="x")])
    model.script("a", [say("no?")])
    gate = model.hold("a")
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "go")
    await gate.reached()
    config = scripted(model.url, "a", "b", a={"tools": {"allow": ["list_agents"]}})
    write_config(daemon.home, config)
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == "config_reloaded")
    gate.open()
    assert await daemon.ended(turn) == "no?"
    (refused,) = results(model.of("a")[1].messages).values()
    assert json.loads(refused)["error"] == "tool_denied"
    assert not (daemon.home / "workspaces/b/session_messages.jsonl").exists()


async def test_what_a_model_does_wrong_is_told_to_it(start: Start, model: ScriptedModel) -> None:
    """M33: broken arguments, unknown tool, a tool that fails: an error result, and on it goes."""
    model.script(
        "a",
        [
            raw_call("list_agents", '{"capability": '),
            raw_call("list_agents", "[1]"),
            call("list_agent"),
            call("list_agents", capabilty="x"),
            call("list_agents"),
            call("check_async_tasks", task_id="task-none"),
            say("I give up"),
        ],
    )
    daemon = await start("a", "b")
    assert await daemon.say("a", "try") == "I give up"
    told = results(model.of("a")[-1].messages).values()
    errors = [json.loads(text) for text in told if text.startswith("{")]
    assert [e["error"] for e in errors] == [
        "malformed_arguments",
        "malformed_arguments",
        "unknown_tool",
        "invalid_arguments",
        "unknown_task",
    ]
    assert "did you mean list_agents" in errors[2]["hint"]
    assert "did you mean capability" in errors[3]["message"]
    assert await daemon.say("a", "again") == "ok"
    assert not any(request.refused for request in model.requests)


async def test_parallel_calls_run_side_by_side(start: Start, model: ScriptedModel) -> None:
    """Calls of one answer overlap, and each has exactly one result, in the order of the calls."""
    gates = [model.hold("b"), model.hold("c")]
    ask = "send_message_to_session"
    model.script(
        "a",
        [
            calls(
                tool(ask, '{"target_session": "b", "message": "q", "wait_seconds": 20}', "one"),
                tool(ask, '{"target_session": "c", "message": "q", "wait_seconds": 20}', "two"),
                tool("list_agents", "{}", "three"),
            ),
            say("both"),
        ],
    )
    model.script("b", [say("from b")])
    model.script("c", [say("from c")])
    daemon = await start("a", "b", "c")
    turn = await daemon.prompt("a", "ask both")
    for gate in gates:
        await gate.reached()
    for gate in gates:
        gate.open()
    assert await daemon.ended(turn) == "both"
    got = results(model.of("a")[-1].messages)
    assert list(got) == ["one", "two", "three"]
    assert "from b" in got["one"]
    assert "from c" in got["two"]


async def test_cancel_in_a_tool_loop(start: Start, model: ScriptedModel) -> None:
    """M34: a cancel ends model and tools within a second, and the next request is valid."""
    hold = model.hold("b")
    ask = '{"target_session": "b", "message": "q", "wait_seconds": 300}'
    model.script(
        "a", [calls(tool("list_agents", "{}"), tool("send_message_to_session", ask, "long"))]
    )
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "ask b")
    await hold.reached()
    began = time.monotonic()
    assert (await daemon.post("/api/sessions/a/cancel"))["cancelled"] is True
    with pytest.raises(ApiError, match="cancelled"):
        await daemon.ended(turn)
    await daemon.idle("a")
    assert time.monotonic() - began < 1
    assert await daemon.say("a", "what now?") == "ok"
    request = model.of("a")[-1]
    assert not request.refused
    assert json.loads(results(request.messages)["long"])["error"] == "cancelled"
    hold.open()


async def test_cancel_in_the_middle_of_a_text(start: Start, model: ScriptedModel) -> None:
    """M34: what was said until then stays, marked as cut off; the model's request is dropped."""
    gate = Gate()
    model.script("a", [slow("one two three", gate)])
    daemon = await start("a")
    turn = await daemon.prompt("a", "count")
    await daemon.until(lambda e: e["event"] == "text_message_content")
    await daemon.post("/api/sessions/a/cancel", turn=turn)
    end = await daemon.until(lambda e: e["event"] == "text_message_end")
    assert (end["full_content"], end["partial"]) == ("one ", True)
    await model.until(lambda: model.at_once["a"] == 0)
    assert await daemon.say("a", "go on") == "ok"
    assert [m["content"] for m in model.of("a")[-1].messages[1:]] == ["count", "one ", "go on"]


async def test_steering_is_heard_between_two_calls(start: Start, model: ScriptedModel) -> None:
    """A line that steers is in the running turn's next request, once, and starts no turn."""
    model.script("a", [call("list_agents"), say("as you say")])
    gate = model.hold("a")
    daemon = await start("a")
    turn = await daemon.prompt("a", "begin")
    await gate.reached()
    accepted = await daemon.post("/api/sessions/a/prompt", text="more to the left", mode="steer")
    assert accepted["state"] == "steered"
    gate.open()
    assert await daemon.ended(turn) == "as you say"
    await daemon.idle()
    last = model.of("a")[-1].messages
    assert [m["role"] for m in last] == ["system", "user", "assistant", "tool", "user"]
    assert last[-1]["content"] == "more to the left"
    assert len(model.of("a")) == 2
    await daemon.kill()
    await daemon.start()
    await daemon.idle()
    assert len(model.of("a")) == 2


async def test_steering_too_late_is_a_turn_of_its_own(start: Start, model: ScriptedModel) -> None:
    """When the running turn asks the model no more, the line is not lost: it starts a turn."""
    gate = model.hold("a")
    daemon = await start("a")
    await daemon.prompt("a", "begin")
    await gate.reached()
    late = await daemon.prompt("a", "one more thing", mode="steer")
    gate.open()
    assert await daemon.ended(late) == "ok"
    assert [m["content"] for m in model.of("a")[-1].messages[1:]] == [
        "begin", "ok", "one more thing",
    ]  # fmt: skip


async def test_an_interrupt_cancels_first(start: Start, model: ScriptedModel) -> None:
    """The running turn ends as cancelled, and the interrupting line starts at once."""
    gate = model.hold("a")
    daemon = await start("a")
    first = await daemon.prompt("a", "begin")
    await gate.reached()
    second = await daemon.prompt("a", "no, stop", mode="interrupt")
    with pytest.raises(ApiError, match="cancelled"):
        await daemon.ended(first)
    assert await daemon.ended(second) == "ok"
    gate.open()


async def test_the_order_of_what_waits(start: Start, model: ScriptedModel) -> None:
    """The operator's lines come first, then by priority, then in the order of acceptance."""
    gate = model.hold("a")
    daemon = await start("a", "b")
    await daemon.prompt("a", "busy")
    await gate.reached()
    for text, priority in (("low", 1), ("middle one", 5), ("middle two", 5), ("high", 9)):
        await daemon.tool(
            "b", "delegate_task_async", target_session="a", task=text, priority=priority
        )
    await daemon.prompt("a", "mine one")
    await daemon.prompt("a", "mine two")
    gate.open()
    await daemon.idle()
    order = [e["input_message"] for e in daemon.named("run_started", "a")]
    assert order == ["busy", "mine one", "mine two", "high", "middle one", "middle two", "low"]
    assert model.most_at_once["a"] == 1


async def test_a_queued_line_can_be_withdrawn(start: Start, model: ScriptedModel) -> None:
    """A line that waits is taken back with its text, and is never asked."""
    gate = model.hold("a")
    daemon = await start("a")
    await daemon.prompt("a", "busy")
    await gate.reached()
    turn = await daemon.prompt("a", "never mind")
    taken = await daemon.post("/api/sessions/a/cancel", turn=turn)
    assert (taken["cancelled"], taken["text"]) == (True, "never mind")
    gate.open()
    await daemon.idle()
    assert len(model.of("a")) == 1


async def test_another_conversation_leaves_mail_and_tasks(
    start: Start, model: ScriptedModel
) -> None:
    """A reset begins with an empty history; messages and tasks are as they were."""
    daemon = await start("a", "b")
    assert await daemon.say("a", "remember 42") == "ok"
    await daemon.tool("b", "send_message_to_session", target_session="a", message="note")
    await daemon.idle()
    task = await daemon.tool("b", "delegate_task_async", target_session="operator", task="x")
    await daemon.post("/api/sessions/a/reset")
    assert (await daemon.get("/api/sessions/a/transcript"))["items"] == []
    assert await daemon.say("a", "what was it?") == "ok"
    assert [m["role"] for m in model.of("a")[-1].messages] == ["system", "user"]
    assert len((await daemon.get("/api/messages", session="a"))["items"]) == 1
    assert (await daemon.get(f"/api/tasks/{task['taskId']}"))["status"] == "pending"
    await daemon.kill()
    await daemon.start()
    assert await daemon.say("a", "still?") == "ok"
    assert [m["content"] for m in model.of("a")[-1].messages[1:]] == [
        "what was it?", "ok", "still?",
    ]  # fmt: skip
    assert await daemon.say("a", "from scratch", new=True) == "ok"
    assert len(model.of("a")[-1].messages) == 2
    texts = (daemon.home / "workspaces/a/history.jsonl").read_text(encoding="utf-8")
    assert "remember 42" in texts


async def test_a_turn_that_never_ends_is_ended(start: Start, model: ScriptedModel) -> None:
    """A model that only calls tools is stopped at its limit; the session stays usable."""
    model.rule("a", lambda body: call("list_agents", query=f"{len(body['messages'])}"))
    daemon = await start("a", a={"limits": {"maxModelCallsPerTurn": 3}})
    with pytest.raises(ApiError, match="3 model calls"):
        await daemon.say("a", "loop")
    assert len(model.of("a")) == 3
    assert any("3 model calls" in e["text"] for e in daemon.named("notice", "a"))
    model.rule("a", lambda _: say("sorry"))
    assert await daemon.say("a", "stop") == "sorry"


async def test_a_failed_turn_keeps_the_input(start: Start, model: ScriptedModel) -> None:
    """When the provider refuses, the turn fails with one error and the line stays in history."""
    model.script("a", [fail(401), say("better")])
    daemon = await start("a")
    with pytest.raises(ApiError):
        await daemon.say("a", "first")
    assert await daemon.say("a", "second") == "better"
    assert [m["content"] for m in model.of("a")[-1].messages[1:]] == ["first", "second"]


async def test_a_call_that_a_crash_cut_off_is_never_run_again(
    start: Start, model: ScriptedModel
) -> None:
    """After a kill the call has one result, "outcome unknown", on disk too; the turn goes on."""
    hold = model.hold("b")
    ask = '{"target_session": "b", "message": "q", "wait_seconds": 300}'
    model.script("a", [calls(tool("send_message_to_session", ask, "cut"))])
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "ask b")
    await hold.reached()
    await daemon.kill()
    model.script("a", [say("I do not know")])
    await daemon.start()
    assert await daemon.ended(turn) == "I do not know"
    hold.open()
    await daemon.idle()
    request = next(r for r in reversed(model.of("a")) if "cut" in results(r.messages))
    assert "outcome unknown" in results(request.messages)["cut"]
    lines = latest(daemon.home / "workspaces/a/history.jsonl")
    written = [x for x in lines if x.get("message", {}).get("tool_call_id") == "cut"]
    assert len(written) == 1
    assert len(latest(daemon.home / "workspaces/b/session_messages.jsonl")) == 1


async def test_a_last_word_without_its_end_is_not_asked_for_again(
    start: Start, model: ScriptedModel
) -> None:
    """A power cut between the two lines of a turn's end costs no second answer."""
    daemon = await start("a")
    model.script("a", [say("done")])
    turn = await daemon.prompt("a", "do it")
    assert await daemon.ended(turn) == "done"
    await daemon.kill()
    history = daemon.home / "workspaces/a/history.jsonl"
    *kept, word, end = history.read_bytes().splitlines(keepends=True)
    assert b'"role":"assistant"' in word
    assert b'"status":"finished"' in end
    history.write_bytes(b"".join((*kept, word)))
    await daemon.start()
    assert await daemon.ended(turn) == "done"
    assert len(model.of("a")) == 1


async def test_a_line_that_kills_the_daemon_is_given_up(start: Start, model: ScriptedModel) -> None:
    """Any trigger starts three times at most; the fourth start fails it and goes on."""
    daemon = await start("a")
    gates = [model.hold("a") for _ in range(3)]
    turn = await daemon.prompt("a", "deadly")
    for gate in gates:
        await gate.reached()
        await daemon.kill()
        await daemon.start()
    with pytest.raises(ApiError, match="died 3 times"):
        await daemon.ended(turn)
    assert await daemon.say("a", "harmless") == "ok"
    assert len(model.of("a")) == 4
    await daemon.kill()
    await daemon.start()
    await daemon.idle()
    assert len(model.of("a")) == 4
