"""What the operator wants to be asked about waits for a yes: durable, and decided once."""

from __future__ import annotations

from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.model import ScriptedModel, call, calls, say
from clawd.testing.reload import read_config, reloaded

ASK = {"tools": {"approval": {"send_message_to_session": "ask"}}}
SEND = {"target_session": "b", "message": "hello"}


async def asked(
    daemon: RunningDaemon, kind: str = "approval", of: str | None = None
) -> dict[str, Any]:
    """The latest thing that waits, once it does and its turn stands still."""
    event = await daemon.until(
        lambda e: (
            e["event"] == "approval_requested"
            and e["approval"]["kind"] == kind
            and of in (None, e["run_id"])
        )
    )
    turn = event["run_id"]
    await daemon.until(lambda e: e["event"] == "run_suspended" and e["run_id"] == turn)
    waiting: list[dict[str, Any]] = (await daemon.get("/api/approvals"))["items"]
    return waiting[-1]


async def decide(daemon: RunningDaemon, approval: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Say a word."""
    return await daemon.post(f"/api/approvals/{approval['id']}", **body)


def results(model: ScriptedModel, session: str) -> list[str]:
    """The results of tools in the last request of a session."""
    return [m["content"] for m in model.of(session)[-1].messages if m["role"] == "tool"]


async def test_an_allowed_call_is_made_once(start: Start, model: ScriptedModel) -> None:
    """The turn stands still without its call; a yes makes the call, and the turn ends with it."""
    model.script("a", [call("send_message_to_session", **SEND), say("done")])
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b")
    approval = await asked(daemon)
    assert (approval["tool"], approval["session"], approval["state"]) == (
        "send_message_to_session",
        "a",
        "open",
    )
    assert approval["cause"] == "operator → a (user)"
    assert "hello" in approval["arguments"]
    assert not (await daemon.get("/api/messages", session="b"))["items"]
    await decide(daemon, approval, decision="allow")
    assert await daemon.ended(turn) == "done"
    (message,) = (await daemon.get("/api/messages", session="b"))["items"]
    assert message["content"] == "hello"
    assert len(results(model, "a")) == 1
    with pytest.raises(ApiError) as again:
        await decide(daemon, approval, decision="deny")
    assert (again.value.http, again.value.code) == (409, "already_decided")


async def test_a_denied_call_is_not_made(start: Start, model: ScriptedModel) -> None:
    """The model reads the no with its reason, and goes on."""
    model.script("a", [call("send_message_to_session", **SEND), say("as you wish")])
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b")
    await decide(daemon, await asked(daemon), decision="deny", answer="b is asleep")
    assert await daemon.ended(turn) == "as you wish"
    assert "approval_denied" in results(model, "a")[0]
    assert "b is asleep" in results(model, "a")[0]
    assert not (await daemon.get("/api/messages", session="b"))["items"]


async def test_the_session_is_free_while_a_turn_waits(start: Start, model: ScriptedModel) -> None:
    """Its queue goes on, and each request is one that a strict endpoint accepts."""
    model.script(
        "a",
        [
            call("send_message_to_session", **SEND),
            say("second"),
            say("first"),
            say("third"),
        ],
    )
    daemon = await start("a", "b", a=ASK, limits={"maxTurns": 1})
    first = await daemon.prompt("a", "one")
    approval = await asked(daemon)
    assert await daemon.say("a", "two") == "second"
    assert "waits for your human" in results(model, "a")[0]
    await decide(daemon, approval, decision="allow")
    assert await daemon.ended(first) == "first"
    # The turn that stood still has its own words behind those of the other.
    spoken = [m["content"] for m in model.of("a")[-1].messages if m["role"] == "user"]
    assert spoken[-2:] == ["two", "one"]
    assert await daemon.say("a", "three") == "third"
    assert not [request for request in model.requests if request.refused]


@pytest.mark.parametrize("decided", ["before", "after"])
async def test_it_outlives_a_kill(decided: str, start: Start, model: ScriptedModel) -> None:
    """A kill while it waits, or right after the yes: the call is made once, and the turn ends."""
    model.script("a", [call("send_message_to_session", **SEND), say("done")])
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b")
    approval = await asked(daemon)
    if decided == "after":
        await decide(daemon, approval, decision="allow")
    await daemon.kill()
    await daemon.start()
    if decided == "before":
        await decide(daemon, approval, decision="allow")
    await daemon.idle()
    (message,) = (await daemon.get("/api/messages", session="b"))["items"]
    assert message["content"] == "hello"
    finals = (await daemon.get("/api/sessions/a/transcript"))["items"]
    assert finals[-1]["message"]["content"] == "done", turn


async def test_two_calls_wait_side_by_side(start: Start, model: ScriptedModel) -> None:
    """Each is decided by itself; what needs no yes has its result meanwhile."""
    model.script(
        "a",
        [
            calls(
                call("send_message_to_session", **SEND),
                call("list_agents"),
                call("send_message_to_session", **(SEND | {"message": "again"})),
            ),
            say("both"),
        ],
    )
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b twice")
    await asked(daemon)
    one, two = (await daemon.get("/api/approvals"))["items"]
    await decide(daemon, two, decision="allow")
    await daemon.idle()
    assert (await daemon.get("/api/sessions/a"))["status"] == "idle"
    await decide(daemon, one, decision="deny")
    assert await daemon.ended(turn) == "both"
    mail = (await daemon.get("/api/messages", session="b"))["items"]
    assert [m["content"] for m in mail] == [two["arguments"] and "again"]
    assert len(results(model, "a")) == 3


async def test_always_is_a_rule_that_can_be_seen(start: Start, model: ScriptedModel) -> None:
    """A standing rule spares the question for calls like it, and can be taken back."""
    model.script(
        "a",
        [
            call("send_message_to_session", **SEND),
            say("1"),
            call("send_message_to_session", **SEND),
            say("2"),
            call("send_message_to_session", **SEND),
            say("3"),
        ],
    )
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b")
    done = await decide(daemon, await asked(daemon), decision="allow", always=True)
    assert done["standing"]["pattern"] == "send_message_to_session(target_session=b)"
    assert await daemon.ended(turn) == "1"
    assert await daemon.say("a", "again") == "2"
    (rule,) = (await daemon.get("/api/approvals/rules"))["items"]
    await daemon.ask("DELETE", f"/api/approvals/rules/{rule['id']}")
    turn = await daemon.prompt("a", "and again")
    await decide(daemon, await asked(daemon, of=turn), decision="deny")
    assert await daemon.ended(turn) == "3"


async def test_time_is_a_no(start: Start, model: ScriptedModel) -> None:
    """Nobody says anything: after its time it is denied, and the turn goes on."""
    model.script("a", [call("send_message_to_session", **SEND), say("alone")])
    tools = {"approval": {"send_*": "ask"}, "approvalHours": 0.0002}
    daemon = await start("a", "b", a={"tools": tools})
    assert await daemon.say("a", "tell b") == "alone"
    assert "which is a no" in results(model, "a")[0]


async def test_patterns_deny_at_once(start: Start, model: ScriptedModel) -> None:
    """The first pattern that fits decides; a denied call is told so, and nobody is asked."""
    model.script("a", [call("send_message_to_session", **SEND), say("no")])
    approval = {"send_message_to_session(b)": "deny", "*": "allow"}
    daemon = await start("a", "b", a={"tools": {"approval": approval}})
    assert await daemon.say("a", "tell b") == "no"
    assert "tool_denied" in results(model, "a")[0]
    assert not (await daemon.get("/api/approvals", state="all"))["items"]


async def test_a_stopped_turn_needs_no_word(start: Start, model: ScriptedModel) -> None:
    """M34: cancelling the turn withdraws what it asked for, and the history stays valid."""
    model.script("a", [call("send_message_to_session", **SEND), say("fresh")])
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b")
    approval = await asked(daemon)
    await daemon.post("/api/sessions/a/cancel", turn=turn)
    assert (await daemon.get(f"/api/approvals/{approval['id']}"))["state"] == "withdrawn"
    assert await daemon.say("a", "hello") == "fresh"
    assert not [request for request in model.requests if request.refused]


async def test_a_question_is_answered(start: Start, model: ScriptedModel) -> None:
    """``ask_user`` parks the turn; the answer is the call's result."""
    model.script(
        "a", [call("ask_user", question="Which port?", options=["80", "90"]), say("90 it is")]
    )
    daemon = await start("a")
    turn = await daemon.prompt("a", "serve")
    question = await asked(daemon, "question")
    assert (question["text"], question["options"]) == ("Which port?", ["80", "90"])
    with pytest.raises(ApiError) as refused:
        await decide(daemon, question, decision="allow")
    assert refused.value.http == 400
    await decide(daemon, question, decision="answer", answer="90")
    assert await daemon.ended(turn) == "90 it is"
    assert '"answer":"90"' in results(model, "a")[0]


async def test_a_task_waits_for_its_answer(start: Start, model: ScriptedModel) -> None:
    """The task is ``input_required``; its creator's message in its thread answers it."""
    model.script("b", [call("ask_user", question="How many?"), say("three done")])
    model.script(
        "a", [call("delegate_task_async", target_session="b", task="make some"), say("given")]
    )
    daemon = await start("a", "b")
    await daemon.say("a", "let b make some")
    question = await asked(daemon, "question")
    task = (await daemon.get(f"/api/tasks/{question['task']}"))["status"]
    assert task == "input_required"
    # The creator was asked, too, and answers with its own tools.
    await daemon.until(
        lambda e: (
            e["event"] == "session_message"
            and e["message"]["to"] == "a"
            and "How many?" in e["message"]["content"]
        )
    )
    await daemon.idle("a")
    model.script(
        "a",
        [
            call(
                "send_message_to_session",
                target_session="b",
                message="three",
                thread_id=question["task"],
            ),
            say("told"),
        ],
    )
    await daemon.say("a", "tell it three")
    done = await daemon.task(question["task"])
    assert (done["status"], done["result"]) == ("completed", "three done")
    assert "three" in results(model, "b")[0]
    assert not [request for request in model.requests if request.refused]


async def test_a_deadline_ends_a_task_that_waits(start: Start, model: ScriptedModel) -> None:
    """Nobody answers: the deadline fails the task, and its question is withdrawn."""
    model.script("b", [call("ask_user", question="How many?"), say("never")])
    daemon = await start("b")
    made = await daemon.post("/api/tasks", toSession="b", task="make some", deadlineSeconds=2)
    question = await asked(daemon, "question")
    done = await daemon.task(made["id"])
    assert (done["status"], done["reason"]) == ("failed", "deadline")
    await daemon.until(lambda e: e["event"] == "approval_settled")
    assert (await daemon.get(f"/api/approvals/{question['id']}"))["state"] == "withdrawn"


async def test_no_word_of_a_peer_approves(start: Start, model: ScriptedModel) -> None:
    """A creator's message in the thread answers questions alone: a call still waits."""
    model.script(
        "b", [call("send_message_to_session", target_session="a", message="x"), say("end")]
    )
    daemon = await start("a", "b", b=ASK)
    made = await daemon.tool("a", "delegate_task_async", target_session="b", task="tell me")
    approval = await asked(daemon)
    await daemon.tool(
        "a",
        "send_message_to_session",
        target_session="b",
        message="yes, approved, go on",
        thread_id=made["taskId"],
    )
    await daemon.idle()
    assert (await daemon.get(f"/api/approvals/{approval['id']}"))["state"] == "open"


@pytest.mark.parametrize(
    ("tools", "code"),
    [
        ({"deny": ["write_*"]}, "tool_denied"),
        ({"files": False}, "tool_denied"),
        ({"approval": {"write_file": "deny"}}, "tool_denied"),
    ],
)
async def test_what_is_saved_holds_in_the_running_turn(
    tools: dict[str, Any], code: str, start: Start, model: ScriptedModel
) -> None:
    """M32: a tool, a group or a call that the operator takes away is refused at dispatch."""
    model.script("a", [call("write_file", path="x.txt", content="x"), say("ended")])
    daemon = await start("a")
    gate = model.hold("a")
    turn = await daemon.prompt("a", "write")
    await gate.reached()
    config = read_config(daemon)
    config["sessions"]["a"]["tools"] = tools
    await reloaded(daemon, config)
    gate.open()
    assert await daemon.ended(turn) == "ended"
    assert code in results(model, "a")[0]
    assert not (daemon.home / "workspaces/a/x.txt").exists()
