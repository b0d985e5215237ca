"""Waiting for an answer: ``wait_seconds`` in all its forms."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.homes import latest
from clawd.testing.model import Recorded, ScriptedModel, Step, call, calls, say
from clawd.testing.steps import Call

JSON = dict[str, Any]


def ask(to: str, text: str, seconds: float = 30) -> Step:
    """A model asks another session and waits."""
    return call("send_message_to_session", target_session=to, message=text, wait_seconds=seconds)


def tell(to: str, text: str) -> Step:
    """A model writes to another session."""
    return call("send_message_to_session", target_session=to, message=text)


def results(request: Recorded) -> list[JSON]:
    """The facts in the tool results that a request shows, oldest first."""
    texts = [m["content"] for m in request.messages if m["role"] == "tool"]
    return [json.loads(text[text.index("{") :]) for text in texts]


async def test_the_first_reply_is_the_answer(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: the first message that replies ends the wait; it wakes nobody again."""
    model.script("a", [ask("b", "how many?"), say("thanks")])
    model.script("b", [tell("a", "three"), say("told them")])
    daemon = await start("a", "b")
    assert await daemon.say("a", "ask b") == "thanks"
    await daemon.idle()
    (facts,) = results(model.of("a")[1])
    assert (facts["answered"], facts["answer"]) == (True, "three")
    (question,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    (answer,) = latest(daemon.home / "workspaces/a/session_messages.jsonl")
    assert (question["state"], question["type"]) == ("answered", "request")
    assert (answer["id"], answer["replyTo"]) == (facts["answerId"], question["id"])
    assert (answer["state"], answer["read"]) == ("read", True)
    assert len(model.of("a")) == 2


async def test_the_final_text_answers_when_nothing_was_sent(
    start: Start, model: ScriptedModel
) -> None:
    """Comms, answer: without a reply, the final text of the turn is the answer, in its thread."""
    model.script(
        "a",
        [
            call(
                "send_message_to_session",
                target_session="b",
                message="how many?",
                thread_id="counting",
                wait_seconds=30,
            ),
            say("thanks"),
        ],
    )
    model.script("b", [say("It is three.")])
    daemon = await start("a", "b")
    assert await daemon.say("a", "ask b") == "thanks"
    await daemon.idle()
    assert results(model.of("a")[1])[0]["answer"] == "It is three."
    (question,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    (answer,) = latest(daemon.home / "workspaces/a/session_messages.jsonl")
    assert question["state"] == "answered"
    assert (answer["replyTo"], answer["threadId"]) == (question["id"], "counting")
    assert (len(model.of("a")), len(model.of("b"))) == (2, 1)


async def test_a_late_answer_arrives_as_a_message(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: "no answer within N s"; what comes later is a message that says so."""
    model.script("a", [ask("b", "how many?", 0.1), say("never mind"), say("noted")])
    model.script("b", [say("three")])
    gate = model.hold("b")
    daemon = await start("a", "b")
    assert await daemon.say("a", "ask b") == "never mind"
    asked = model.of("a")[1].messages[-1]["content"]
    assert "No answer from b within 0.1 s" in asked
    gate.open()
    await model.until(lambda: len(model.of("a")) == 3)
    await daemon.idle()
    shown = model.of("a")[2].messages[-1]["content"]
    (question,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    assert 'session "b"' in shown
    assert "three" in shown
    assert f"It answers your message {question['id']}" in shown
    assert question["state"] == "answered"


async def test_a_final_text_that_nobody_asked_for_stays(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: the final text of a turn that a plain message started goes nowhere."""
    model.script("a", [tell("b", "for your information"), say("sent")])
    model.script("b", [say("I see.")])
    daemon = await start("a", "b")
    await daemon.say("a", "tell b")
    await model.until(lambda: len(model.of("b")) == 1)
    await daemon.idle()
    assert (await daemon.get("/api/messages", session="a"))["items"] == []
    assert len(model.of("a")) == 2


async def test_two_that_ask_each_other(start: Start, model: ScriptedModel) -> None:
    """K03: the wait that would close a circle returns at once, with the question to answer."""
    model.script("a", [ask("b", "what is your colour?"), say("a is done")])
    model.script(
        "b",
        [ask("a", "what is yours?"), tell("a", "blue"), say("b is done"), say("and b heard you")],
    )
    daemon = await start("a", "b")
    gate = model.hold("b")
    of_b = await daemon.prompt("b", "ask a")
    await gate.reached()
    of_a = await daemon.prompt("a", "ask b")
    await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"]["to"] == "b", seconds=10
    )
    gate.open()
    assert await daemon.ended(of_a) == "a is done"
    assert await daemon.ended(of_b) == "b is done"
    await daemon.idle()
    refusal = results(model.of("b")[1])[0]
    assert refusal["error"] == "wait_circle"
    assert refusal["circle"] == "b -> a -> b"
    assert refusal["openQuestion"]["from"] == "a"
    assert refusal["openQuestion"]["content"] == "what is your colour?"
    assert results(model.of("a")[1])[0]["answer"] == "blue"
    question = await daemon.get(f"/api/messages/{refusal['openQuestion']['id']}")
    assert question["state"] == "answered"
    assert len(model.of("b")) == 3


async def test_a_circle_of_three(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: a circle through any number is named whole, and each still gets an answer."""
    model.script("a", [ask("b", "b?"), say("a done")])
    model.script("b", [ask("c", "c?"), say("b says")])
    model.script("c", [ask("a", "a?"), say("c says")])
    daemon = await start("a", "b", "c")
    assert await daemon.say("a", "begin") == "a done"
    await daemon.idle()
    refusal = results(model.of("c")[1])[0]
    assert (refusal["error"], refusal["circle"]) == ("wait_circle", "c -> a -> b -> c")
    assert refusal["openQuestion"]["from"] == "b"
    assert results(model.of("b")[1])[0]["answer"] == "c says"
    assert results(model.of("a")[1])[0]["answer"] == "b says"


async def test_a_waiting_turn_gives_back_its_slot(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: with one slot in the house a chain of waits ends, and no slot is lost."""
    both = calls(*_calls(ask("b", "b?")), *_calls(ask("c", "c?")))
    model.script("a", [both, say("a has two answers"), say("still here")])
    model.script("b", [ask("d", "d?"), say("b says")])
    daemon = await start("a", "b", "c", "d", limits={"maxTurns": 1})
    assert await daemon.say("a", "ask both") == "a has two answers"
    answers = [facts["answer"] for facts in results(model.of("a")[1])]
    assert answers == ["b says", "ok"]
    assert await daemon.say("a", "are you there?") == "still here"
    assert await daemon.say("d", "and you?") == "ok"


def _calls(step: Step) -> tuple[Call, ...]:
    return step.calls


async def test_a_wait_ends_when_the_turn_fails(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: a target that is given up on ends the wait at once, with the reason."""
    model.script("a", [ask("b", "b?"), say("pity")])
    model.script("b", [call("list_agents")])
    daemon = await start("a", "b", b={"limits": {"maxModelCallsPerTurn": 1}})
    assert await daemon.say("a", "ask b") == "pity"
    facts = results(model.of("a")[1])[0]
    assert facts["error"] == "not_answered"
    assert "limit of 1 model calls" in facts["message"]
    (question,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    assert question["state"] == "dead"


async def test_a_wait_ends_when_the_turn_is_stopped(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: the operator stops the turn that was to answer; the asker is told."""
    model.script("a", [ask("b", "b?"), say("pity")])
    gate = model.hold("b")
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "ask b")
    await gate.reached()
    await daemon.post("/api/sessions/b/cancel")
    assert await daemon.ended(turn) == "pity"
    facts = results(model.of("a")[1])[0]
    assert facts["error"] == "not_answered"
    assert "stopped by operator" in facts["message"]
    gate.open()


async def test_a_wait_ends_when_the_target_is_removed(start: Start, model: ScriptedModel) -> None:
    """K20, comms: mail of a removed session is held, waits end, and every sender is told."""
    daemon = await start("a", "c")
    await daemon.post("/api/sessions", session_id="b", provider_template="scripted")
    gate = model.hold("spare")
    thinking = await daemon.prompt("b", "think")
    await gate.reached()
    model.script("a", [ask("b", "b?"), say("pity")])
    turn = await daemon.prompt("a", "ask b")
    await daemon.until(lambda e: e["event"] == "session_message" and e["message"]["to"] == "b")
    plain = await daemon.tool("c", "send_message_to_session", target_session="b", message="plain")
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.ask("DELETE", "/api/sessions/b"))
        # It leaves before its turn ends: else the turn after that would answer.
        async with asyncio.timeout(10):
            while "error" not in await daemon.tool("c", "get_session_outputs", session_id="b"):
                pass
        gate.open()
    assert await daemon.ended(thinking) == "ok"
    assert await daemon.ended(turn) == "pity"
    assert results(model.of("a")[1])[0]["error"] == "not_answered"
    await daemon.idle()
    (told,) = (await daemon.get("/api/messages", session="c"))["items"]
    assert told["content"] == f"Message {plain['id']} is held: session b was removed"
    stored = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    assert {m["content"]: m["state"] for m in stored} == {"b?": "held", "plain": "held"}
    gone = await daemon.tool("c", "send_message_to_session", target_session="b", message="again")
    assert gone["error"] == "unknown_session"


async def test_an_empty_final_text_is_no_answer(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: who asked is told that the turn ended without a word."""
    model.script("a", [ask("b", "b?"), say("pity")])
    model.script("b", [say(""), say("")])
    daemon = await start("a", "b")
    assert await daemon.say("a", "ask b") == "pity"
    facts = results(model.of("a")[1])[0]
    assert facts["error"] == "not_answered"
    assert "ended without an answer" in facts["message"]


async def test_the_operator_asks_and_is_asked(start: Start, model: ScriptedModel) -> None:
    """Comms, targets: the human waits for a session, and a session for the human."""
    model.script("a", [say("from a"), ask("operator", "may I?"), say("I may")])
    daemon = await start("a")
    sent = await daemon.post("/api/messages", to="a", content="who are you?", waitSeconds=20)
    assert (sent["answer"]["content"], sent["state"]) == ("from a", "answered")
    assert sent["answer"]["read"] is True

    turn = await daemon.prompt("a", "ask me")
    asked = await daemon.until(
        lambda e: (
            e["event"] == "session_message"
            and e["message"]["to"] == "operator"
            and e["message"]["content"] == "may I?"
        )
    )
    question = asked["message"]["id"]
    await daemon.post("/api/messages", to="a", content="you may", replyTo=question)
    assert await daemon.ended(turn) == "I may"
    assert results(model.of("a")[-1])[-1]["answer"] == "you may"
    with pytest.raises(ApiError) as refused:
        await daemon.post("/api/messages", to="a", content="x", replyTo="msg-of-nobody")
    assert refused.value.code == "invalid_reply"
    stored = latest(daemon.home / "state/operator_messages.jsonl")
    assert [m["content"] for m in stored] == ["from a", "may I?"]


async def test_what_a_turn_read_by_itself_can_be_answered(
    start: Start, model: ScriptedModel
) -> None:
    """Comms, answer: a question that a busy turn fetched is answered by a send of that turn."""
    daemon = await start("a", "b")
    model.script("a", [ask("b", "b?"), say("thanks")])
    model.script("b", [call("read_session_messages"), tell("a", "from inside"), say("done")])
    gate = model.hold("b")
    of_b = await daemon.prompt("b", "look at your mail")
    await gate.reached()
    of_a = await daemon.prompt("a", "ask b")
    await daemon.until(lambda e: e["event"] == "session_message" and e["message"]["to"] == "b")
    gate.open()
    assert await daemon.ended(of_b) == "done"
    assert await daemon.ended(of_a) == "thanks"
    assert results(model.of("a")[1])[0]["answer"] == "from inside"
    await daemon.idle()
    assert len(model.of("b")) == 3


async def test_an_answer_survives_the_kill_of_who_waited(
    start: Start, model: ScriptedModel
) -> None:
    """M20: killed while it waits, the asker gets the answer as a message, once."""
    model.script("a", [ask("b", "b?")])
    model.rule("b", lambda _: say("after all"))
    gate = model.hold("b")
    daemon = await start("a", "b")
    await daemon.prompt("a", "ask b")
    await gate.reached()
    await daemon.kill()
    gate.open()
    await daemon.start()
    await model.until(lambda: "after all" in str([r.body for r in model.of("a")]))
    await daemon.idle()
    last = str(model.of("a")[-1].messages)
    assert last.count("after all") == 1
    assert "interrupted, outcome unknown" in last
    (answer,) = latest(daemon.home / "workspaces/a/session_messages.jsonl")
    assert answer["state"] == "read"


async def test_an_answer_is_not_shown_twice(start: Start, model: ScriptedModel) -> None:
    """M20: killed after the answer entered the turn, it is not delivered again as a message."""
    model.script("a", [ask("b", "b?")])
    model.script("b", [say("exactly once")])
    daemon = await start("a", "b")
    held = model.hold("b")
    await daemon.prompt("a", "ask b")
    await held.reached()
    gate = model.hold("a")
    held.open()
    await gate.reached()
    await daemon.kill()
    gate.open()
    await daemon.start()
    await model.until(lambda: len(model.of("a")) >= 3)
    await daemon.idle()
    assert str(model.of("a")[-1].messages).count("exactly once") == 1
    (answer,) = latest(daemon.home / "workspaces/a/session_messages.jsonl")
    assert (answer["state"], answer["read"]) == ("read", True)
