"""The bounds on messages: rounds, turns, unread mail, and how much comes at once."""

from __future__ import annotations

from functools import partial
from typing import Any

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.model import Call, ScriptedModel, Step, call, calls, say

QUIET: dict[str, Any] = {"a2a": {"wakeOnMessage": False}}
WIDE: dict[str, Any] = {"context": {"maxTokens": 10_000_000}}
JSON = dict[str, Any]


async def send(daemon: RunningDaemon, sender: str, to: str, text: str, **more: Any) -> JSON:
    """``send_message_to_session`` as a session."""
    return await daemon.tool(
        sender, "send_message_to_session", target_session=to, message=text, **more
    )


async def mail(daemon: RunningDaemon, session: str, **query: Any) -> list[JSON]:
    """A mailbox, as a program sees it."""
    items: list[JSON] = (await daemon.get("/api/messages", session=session, **query))["items"]
    return items


async def test_much_mail_comes_in_portions(start: Start, model: ScriptedModel) -> None:
    """M08: what is too much for one request is delivered in several turns, in order."""
    large = "x" * 50_000
    texts = [f"part {number} {large}" for number in range(8)]
    model.script(
        "a",
        [call("send_message_to_session", target_session=["b", "c"], message=text) for text in texts]
        + [say("sent")],
    )
    daemon = await start("a", "b", "c", a=WIDE, b=WIDE, c=QUIET)
    gate = model.hold("b")
    await daemon.prompt("b", "busy")
    await gate.reached()
    await daemon.say("a", "send it all")
    gate.open()
    await daemon.until(
        lambda e: (
            e["event"] == "session_message"
            and e["message"].get("content") == texts[-1]
            and e["message"]["to"] == "b"
            and e["message"]["read"]
        )
    )
    await daemon.idle()
    turns = [r.messages[-1]["content"] for r in model.of("b")[1:]]
    assert len(turns) == 2
    assert [n for n in range(8) if f"part {n} " in turns[0]] == [0, 1, 2, 3, 4]
    assert [n for n in range(8) if f"part {n} " in turns[1]] == [5, 6, 7]

    seen: list[str] = []
    while found := (await daemon.tool("c", "read_session_messages"))["messages"]:
        assert len(found) <= 3
        seen = [m["content"] for m in found] + seen
    assert seen == texts


async def test_a_full_mailbox(start: Start) -> None:
    """K09: past ``maxUnread`` the sender is refused, exactly there, also side by side."""
    daemon = await start("a", "b", b=QUIET | {"limits": {"maxUnread": 3}})
    answer = await daemon.tool(
        "a", "send_message_to_session", target_session=["b"], message="first"
    )
    assert "error" not in answer["messages"][0]
    answers = [await send(daemon, "a", "b", f"message {number}") for number in range(4)]
    assert ["error" in a for a in answers] == [False, False, True, True]
    assert answers[2]["error"] == "mailbox_full"
    await daemon.tool("b", "read_session_messages")
    assert "error" not in await send(daemon, "a", "b", "room again")


async def test_ping_pong_ends(start: Start, model: ScriptedModel) -> None:
    """M28: two that always answer stop at the limit, visibly, and the human can go on with both."""
    daemon = await start("a", "b", limits={"maxMessagesPerPair": 6})
    for name, other in (("a", "b"), ("b", "a")):
        model.rule(name, partial(_always_answer, other=other))
    await daemon.say("a", "talk to b")
    notice = await daemon.until(
        lambda e: e["event"] == "notice" and e["code"] == "guard_messages_per_pair"
    )
    await daemon.idle()
    assert "the limit is 6" in notice["text"]
    sent = [*await mail(daemon, "a"), *await mail(daemon, "b")]
    assert len(sent) == 6
    assert all(m["read"] for m in sent)
    listed = (await daemon.get("/api/status"))["notices"]
    assert [n["text"] for n in listed if n["code"] == notice["code"]] == [notice["text"]], listed
    refused = str(model.of("a")[-1].messages) + str(model.of("b")[-1].messages)
    assert '"limit":6,"value":6,' in refused
    assert '"retryable":false' in refused
    for name in ("a", "b"):
        model.script(name, [say("here")])
        assert await daemon.say(name, "are you well?") == "here"


def _always_answer(body: JSON, other: str) -> Step:
    if body["messages"][-1]["role"] == "tool":
        return say("sent")
    return call("send_message_to_session", target_session=other, message="and you?")


async def test_parallel_sends_do_not_slip_past_a_limit(start: Start, model: ScriptedModel) -> None:
    """M28: what one answer of a model sends side by side counts as one after the other."""
    from_a = [
        one
        for number in range(8)
        for one in call("send_message_to_session", target_session="b", message=f"m{number}").calls
    ]
    model.script("a", [_together(from_a), say("done")])
    daemon = await start("a", "b", b=QUIET, limits={"maxMessagesPerPair": 5})
    await daemon.say("a", "send eight")
    assert len(await mail(daemon, "b")) == 5
    results = [m["content"] for m in model.of("a")[1].messages if m["role"] == "tool"]
    assert sum("guard_messages_per_pair" in text for text in results) == 3


def _together(listed: list[Call]) -> Step:
    return calls(*listed)


async def test_a_trace_has_only_so_many_turns(start: Start, model: ScriptedModel) -> None:
    """R07: past ``maxTurnsPerTrace`` no turn starts; the limit is named, humans are served on."""
    daemon = await start("a", "b", limits={"maxTurnsPerTrace": 4})
    for name, other in (("a", "b"), ("b", "a")):
        model.rule(name, partial(_always_answer, other=other))
    await daemon.say("a", "talk to b")
    notice = await daemon.until(
        lambda e: e["event"] == "notice" and e["code"] == "guard_turns_per_trace"
    )
    await daemon.idle()
    assert "the limit is 4" in notice["text"]
    assert len(daemon.named("run_started")) == 4
    states = [m["state"] for m in [*await mail(daemon, "a"), *await mail(daemon, "b")]]
    assert set(states) <= {"read", "answered", "dead"}
    assert "dead" in states
    assert await daemon.say("b", "are you well?") == "sent"


async def test_an_hour_has_only_so_many_turns(start: Start, model: ScriptedModel) -> None:
    """Guards: past ``maxAutonomousTurnsPerHour`` only the human's own turns start."""
    daemon = await start("a", "b", a=QUIET, b={"limits": {"maxAutonomousTurnsPerHour": 2}})
    sent = [await send(daemon, "a", "b", f"message {number}") for number in range(3)]
    await daemon.until(
        lambda e: e["event"] == "notice" and e["code"] == "guard_autonomous_turns_per_hour"
    )
    await daemon.idle()
    (told,) = await mail(daemon, "a")
    assert told["content"].startswith(f"Message {sent[2]['id']} was not delivered to b: ")
    assert await daemon.say("b", "hello") == "ok"
    await daemon.post("/api/messages", to="b", content="from your human")
    await model.until(lambda: len(model.of("b")) == 4)
    await daemon.idle()
