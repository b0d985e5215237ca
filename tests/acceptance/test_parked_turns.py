"""What happens beside a turn that waits for its human: words at odd times, stops, other turns."""

from __future__ import annotations

from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.model import ScriptedModel, Step, call, calls, say
from clawd.testing.reload import read_config, reloaded

ASK = {"tools": {"approval": {"send_message_to_session": "ask"}}}
SEND = {"target_session": "b", "message": "hello"}


async def asked(daemon: RunningDaemon, known: int = 0, *, parked: bool = True) -> list[Any]:
    """What waits, once more than ``known`` were ever asked, and the turn stands still."""
    event = await daemon.until(
        lambda e: (
            e["event"] == "approval_requested"
            and len(daemon.named("approval_requested")) > known
            and e == daemon.named("approval_requested")[-1]
        )
    )
    if parked:
        seen = daemon.events.index(event)
        await daemon.until(
            lambda e: e["event"] == "run_suspended" and daemon.events.index(e) > seen
        )
    waiting: list[Any] = (await daemon.get("/api/approvals"))["items"]
    return waiting


async def decide(daemon: RunningDaemon, approval: dict[str, Any], **word: Any) -> dict[str, Any]:
    """Say a word."""
    return await daemon.post(f"/api/approvals/{approval['id']}", **word)


def results(model: ScriptedModel, session: str) -> list[str]:
    """The results of tools in the last request of a session."""
    return [m["content"] for m in model.of(session)[-1].messages if m["role"] == "tool"]


async def test_a_word_may_come_before_the_turn_stands_still(
    start: Start, model: ScriptedModel
) -> None:
    """Said while another call of the same reply still runs: the turn goes on all the same."""
    waits = call("send_message_to_session", target_session="c", message="?", wait_seconds=20)
    model.script("a", [calls(call("send_message_to_session", **SEND), waits), say("done")])
    daemon = await start(
        "a", "b", "c", a={"tools": {"approval": {"send_message_to_session(b)": "ask"}}}
    )
    gate = model.hold("c")
    turn = await daemon.prompt("a", "tell b")
    (approval,) = await asked(daemon, parked=False)
    await gate.reached()
    await decide(daemon, approval, decision="allow")
    gate.open()
    assert await daemon.ended(turn) == "done"
    assert [m["content"] for m in (await daemon.get("/api/messages", session="b"))["items"]] == [
        "hello"
    ]


async def test_long_arguments_can_be_allowed(start: Start, model: ScriptedModel) -> None:
    """What is too long for a standing rule is listed and decided like anything; once only."""
    long = call("send_message_to_session", target_session="b", message="x" * 20_000)
    model.script("a", [long, say("done")])
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b")
    (approval,) = await asked(daemon)
    with pytest.raises(ApiError) as refused:
        await decide(daemon, approval, decision="allow", always=True)
    assert refused.value.code == "too_large"
    await decide(daemon, approval, decision="allow")
    assert await daemon.ended(turn) == "done"


async def test_one_of_several_targets_is_enough(start: Start, model: ScriptedModel) -> None:
    """A list with the one that a pattern names is no way around it."""
    model.script("a", [call("send_message_to_session", **SEND | {"target_session": ["b"]})])
    approval = {"send_message_to_session(target_session=b)": "deny"}
    daemon = await start("a", "b", a={"tools": {"approval": approval}})
    await daemon.say("a", "tell b")
    assert "tool_denied" in results(model, "a")[0]


async def test_stopping_it_is_told_while_another_turn_runs(
    start: Start, model: ScriptedModel
) -> None:
    """M34: each of the two turns has its own end on the stream."""
    model.script("a", [call("send_message_to_session", **SEND), say("second")])
    daemon = await start("a", "b", a=ASK)
    first = await daemon.prompt("a", "one")
    await asked(daemon)
    gate = model.hold("a")
    second = await daemon.prompt("a", "two")
    await gate.reached()
    await daemon.post("/api/sessions/a/cancel", turn=first)
    gate.open()
    assert await daemon.ended(second) == "second"
    await daemon.until(lambda e: e["event"] == "run_failed" and e["run_id"] == first)


async def test_asking_needs_no_yes(start: Start, model: ScriptedModel) -> None:
    """Where every call needs a yes a question is asked at once, and once."""
    model.script("a", [call("ask_user", question="Which?"), say("done")])
    daemon = await start("a", a={"tools": {"approval": {"*": "ask"}}})
    turn = await daemon.prompt("a", "ask me")
    (question,) = await asked(daemon)
    assert question["kind"] == "question"
    await decide(daemon, question, decision="answer", answer="this")
    assert await daemon.ended(turn) == "done"


async def test_a_deny_is_stronger_than_an_earlier_yes(start: Start, model: ScriptedModel) -> None:
    """M32: what is saved before the call is made holds for it."""
    model.script("a", [call("send_message_to_session", **SEND), say("done")])
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b")
    (approval,) = await asked(daemon)
    await daemon.post("/api/pause", session="a")
    await decide(daemon, approval, decision="allow")
    config = read_config(daemon)
    config["sessions"]["a"]["tools"] = {"approval": {"send_message_to_session": "deny"}}
    await reloaded(daemon, config)
    await daemon.post("/api/resume", session="a")
    assert await daemon.ended(turn) == "done"
    assert "tool_denied" in results(model, "a")[0]


async def test_no_rule_outlives_its_session(start: Start, model: ScriptedModel) -> None:
    """Whoever comes later under the name of a removed session begins without its rules."""
    model.script("spare", [call("send_message_to_session", **SEND), say("done")])
    daemon = await start("a", "b", a=ASK)
    made = {"session_id": "kid", "provider_template": "scripted", "name": "Kid"}
    await daemon.tool("a", "create_session", **made)
    turn = await daemon.prompt("kid", "tell b")
    (approval,) = await asked(daemon)
    await decide(daemon, approval, decision="allow", always=True)
    assert await daemon.ended(turn) == "done"
    await daemon.ask("DELETE", "/api/sessions/kid")
    assert not (await daemon.get("/api/approvals/rules"))["items"]


async def test_answers_that_it_got_before_are_read(start: Start, model: ScriptedModel) -> None:
    """What a wait brought in before the turn stood still does not wait in the mailbox."""
    waits = call("send_message_to_session", target_session="b", message="?", wait_seconds=20)
    model.script("a", [waits, call("ask_user", question="Go on?"), say("done")])
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "ask b")
    (question,) = await asked(daemon)
    await decide(daemon, question, decision="answer", answer="yes")
    assert await daemon.ended(turn) == "done"
    (answer,) = (await daemon.get("/api/messages", session="a"))["items"]
    assert answer["read"]


async def test_a_turn_that_failed_asks_nothing(start: Start, model: ScriptedModel) -> None:
    """Two calls wait, one is allowed, and the model is out of reach: nothing waits any more."""
    again = call("send_message_to_session", **SEND | {"message": "again"})
    model.script("a", [calls(call("send_message_to_session", **SEND), again)])
    daemon = await start("a", "b", a=ASK)
    turn = await daemon.prompt("a", "tell b twice")
    await asked(daemon, 1)
    config = read_config(daemon)
    config["providerTemplates"]["scripted"]["apiKey"] = "${NOT_THERE_AT_ALL}"
    await reloaded(daemon, config)
    one, _ = (await daemon.get("/api/approvals"))["items"]
    await decide(daemon, one, decision="allow")
    await daemon.until(lambda e: e["event"] == "run_failed" and e["run_id"] == turn)
    await daemon.until(
        lambda e: e["event"] == "approval_settled" and e["approval"]["state"] == "withdrawn"
    )
    assert not (await daemon.get("/api/approvals"))["items"]


async def test_asking_in_vain_comes_to_an_end(start: Start, model: ScriptedModel) -> None:
    """Calls that are turned down one after another are failed calls in a row."""
    sends = [call("send_message_to_session", **SEND | {"message": f"{n}"}) for n in range(4)]
    model.script("a", sends)
    daemon = await start("a", "b", a=ASK | {"limits": {"maxFailedCallsInARow": 3}})
    turn = await daemon.prompt("a", "tell b")
    for known in range(3):
        (approval,) = await asked(daemon, known)
        await decide(daemon, approval, decision="deny")
    failed = await daemon.until(lambda e: e["event"] == "run_failed" and e["run_id"] == turn)
    assert failed["error"]["error"] == "guard_failed_calls_in_a_row"


async def continuing(
    start: Start, model: ScriptedModel, **given: Any
) -> tuple[RunningDaemon, str, dict[str, Any]]:
    """A task that its worker goes on with after a part of it is done, and then asks about."""
    delegates = call("delegate_task_async", target_session="c", task="a part")
    asks = call("ask_user", question="How many?")
    model.script("b", [delegates, say("given"), asks, say("three")])
    daemon = await start("b", "c")
    task = (await daemon.post("/api/tasks", toSession="b", task="make some", **given))["id"]
    (question,) = await asked(daemon)
    assert (await daemon.get(f"/api/tasks/{task}"))["status"] == "input_required"
    return daemon, task, question


async def test_a_deadline_ends_a_continued_task_that_waits(
    start: Start, model: ScriptedModel
) -> None:
    """M34: nobody is asked any more for a task that is over."""
    daemon, task, question = await continuing(start, model, deadlineSeconds=3)
    assert (await daemon.task(task))["reason"] == "deadline"
    await daemon.until(lambda e: e["event"] == "approval_settled")
    assert (await daemon.get(f"/api/approvals/{question['id']}"))["state"] == "withdrawn"


async def test_a_continued_task_goes_on(start: Start, model: ScriptedModel) -> None:
    """It is worked on again once its question is answered."""
    daemon, task, question = await continuing(start, model)
    # It was begun once: that the turn goes on and asks gives none of its starts back.
    assert (await daemon.get(f"/api/tasks/{task}"))["attempt"] == 1
    gate = model.hold("b")
    await decide(daemon, question, decision="answer", answer="3")
    await gate.reached()
    assert (await daemon.get(f"/api/tasks/{task}"))["status"] == "processing"
    gate.open()
    assert (await daemon.task(task))["result"] == "three"


async def test_a_call_that_waited_is_one_call(start: Start, model: ScriptedModel) -> None:
    """Asked for before the turn stood still and made after it: repetition counts it once."""
    again = [call("send_message_to_session", **SEND)] * 2
    model.script("a", [*again, say("twice"), *again, again[0], say("never said")])
    limits = {"repeatedCallWarn": 2, "repeatedCallStop": 3}
    daemon = await start("a", "b", a=ASK | {"limits": limits})
    known = 0
    for calls_made, end in ((2, "twice"), (3, "guard_repeated_call")):
        turn = await daemon.prompt("a", "tell b")
        for _ in range(calls_made):
            (approval,) = await asked(daemon, known)
            known += 1
            await decide(daemon, approval, decision="allow")
        if end == "twice":
            assert await daemon.ended(turn) == end
        else:
            with pytest.raises(ApiError) as stopped:
                await daemon.ended(turn)
            assert stopped.value.code == end


def talking(steps: int, step: Step, last: str) -> Any:
    """Summarises when asked to; else takes the same step again and again, and says a last word."""
    made = 0

    def rule(body: dict[str, Any]) -> Step:
        nonlocal made
        if "Summarise" in str(body["messages"][0]):
            return say("a summary")
        made += 1
        return step if made <= steps else say(last)

    return rule


def largest(model: ScriptedModel, session: str) -> int:
    """The characters of the largest request of a session."""
    return max(len(str(request.messages)) for request in model.of(session))


async def test_history_shrinks_while_a_turn_waits(start: Start, model: ScriptedModel) -> None:
    """What waits stays as it is for a day, and what came after it is summarised all the same."""
    model.script("a", [call("send_message_to_session", **SEND)])
    model.rule("a", talking(10, say("word " * 700), "done"))
    small = {"context": {"maxTokens": 8000, "keepRecentMessages": 2}}
    daemon = await start("a", "b", a=ASK | small)
    turn = await daemon.prompt("a", "tell b")
    (approval,) = await asked(daemon)
    for number in range(10):
        await daemon.say("a", f"line {number}")
    assert largest(model, "a") < 30_000
    assert "hello" in str(model.of("a")[-1].messages)
    await daemon.kill()
    await daemon.start()
    await decide(daemon, approval, decision="allow")
    await daemon.idle()
    assert results(model, "a")[-1].startswith("Message msg-"), turn
    assert not [request for request in model.requests if request.refused]


async def test_a_long_turn_shrinks_after_one_that_waited(
    start: Start, model: ScriptedModel
) -> None:
    """A turn that waited once is no reason for a later one to outgrow the model."""
    model.script("a", [call("send_message_to_session", **SEND), say("first")])
    small = {"context": {"maxTokens": 9000, "keepRecentMessages": 2}}
    limits = {"limits": {"repeatedCallWarn": 99, "repeatedCallStop": 100}}
    daemon = await start("a", "b", a=ASK | small | limits)
    turn = await daemon.prompt("a", "tell b")
    (approval,) = await asked(daemon)
    await decide(daemon, approval, decision="allow")
    assert await daemon.ended(turn) == "first"
    model.rule("a", talking(12, call("write_file", path="x", content="word " * 1500), "end"))
    assert await daemon.say("a", "write") == "end"
    assert largest(model, "a") < 50_000
    assert not [request for request in model.requests if request.refused]


async def test_who_answers_a_question_waits_for_nothing(start: Start, model: ScriptedModel) -> None:
    """A creator that asks for a reply to its answer is told at once that there will be none."""
    model.script("b", [call("ask_user", question="How many?"), say("three done")])
    daemon = await start("a", "b")
    made = await daemon.tool("a", "delegate_task_async", target_session="b", task="make some")
    await asked(daemon)
    answer = {"target_session": "b", "message": "three", "thread_id": made["taskId"]}
    told = await daemon.tool("a", "send_message_to_session", **answer, wait_seconds=600)
    assert told["error"] == "not_answered"
    assert (await daemon.task(made["taskId"]))["result"] == "three done"
