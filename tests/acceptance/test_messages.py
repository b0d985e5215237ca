"""Messages between sessions: sent, delivered, read, refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from pathlib import Path
from typing import Any

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import latest, lines_of
from clawd.testing.model import ScriptedModel, call, say

QUIET: dict[str, Any] = {"a2a": {"wakeOnMessage": False}}
"""A session that reads its mail itself."""

JSON = dict[str, Any]


async def send(
    daemon: RunningDaemon, sender: str, to: str | list[str], text: str, **more: Any
) -> JSON:
    """``send_message_to_session`` as a session."""
    return await daemon.tool(
        sender, "send_message_to_session", target_session=to, message=text, **more
    )


async def read(daemon: RunningDaemon, session: str, **filters: Any) -> list[JSON]:
    """``read_session_messages`` as a session."""
    found: list[JSON] = (await daemon.tool(session, "read_session_messages", **filters))["messages"]
    return found


async def test_a_message_is_a_line_in_the_mailbox(start: Start) -> None:
    """M05: id and timestamp are returned; one line with the seven fields; unread, then read."""
    daemon = await start("a", "b", b=QUIET)
    sent = await send(daemon, "a", "b", "Hello ✓", thread_id="t")
    (line,) = lines_of(daemon.home / "workspaces/b/session_messages.jsonl")
    seven = {
        key: line[key] for key in ("id", "from", "to", "content", "timestamp", "read", "threadId")
    }
    assert seven == {
        "id": sent["id"],
        "from": "a",
        "to": "b",
        "content": "Hello ✓",
        "timestamp": sent["timestamp"],
        "read": False,
        "threadId": "t",
    }
    (unread,) = await read(daemon, "b")
    assert (unread["id"], unread["read"]) == (sent["id"], False)
    assert await read(daemon, "b") == []
    (again,) = await read(daemon, "b", unread_only=False)
    assert (again["read"], again["state"]) == (True, "read")


async def test_looking_without_marking_leaves_mail_unread(start: Start) -> None:
    """Comms, tools: ``mark_as_read`` false shows mail and leaves it unread."""
    daemon = await start("a", "b", b=QUIET)
    await send(daemon, "a", "b", "Hello")
    assert len(await read(daemon, "b", mark_as_read=False)) == 1
    assert len(await read(daemon, "b", markAsRead=True)) == 1
    assert await read(daemon, "b") == []


async def test_filters(start: Start) -> None:
    """M06: a thread has its own messages, in order; sender, words, ``before`` and limit narrow."""
    daemon = await start("a", "b", "c", b=QUIET)
    first = await send(daemon, "a", "b", "the first plan", thread_id="project-alpha")
    await send(daemon, "c", "b", "elsewhere")
    third = await send(daemon, "a", "b", "the second plan", thread_id="project-alpha")

    async def ids(**filters: Any) -> list[str]:
        found = await read(daemon, "b", mark_as_read=False, **filters)
        return [message["id"] for message in found]

    assert await ids(thread_id="project-alpha") == [first["id"], third["id"]]
    assert len(await ids()) == 3
    assert len(await ids(from_session="c")) == 1
    assert await ids(query="PLAN second") == [third["id"]]
    assert await ids(thread_id="project-alpha", limit=1) == [third["id"]]
    assert await ids(thread_id="project-alpha", before=third["id"]) == [first["id"]]
    assert await ids(thread_id="nothing") == []


async def test_a_message_wakes_an_idle_session(start: Start, model: ScriptedModel) -> None:
    """M07: the model is called with sender, thread, id and how to answer, without a human."""
    daemon = await start("a", "b")
    sent = await send(daemon, "a", "b", "Wake up", thread_id="mornings")
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "b")
    await daemon.idle()
    (request,) = model.of("b")
    shown = request.messages[-1]["content"]
    for part in ('session "a"', '"mornings"', sent["id"], "Wake up", "send_message_to_session"):
        assert part in shown
    history = lines_of(daemon.home / "workspaces/b/history.jsonl")
    (kept,) = [r for r in history if r["type"] == "message" and r["message"]["role"] == "user"]
    assert kept["message"]["content"] == shown
    (record,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    assert (record["state"], record["read"]) == ("read", True)
    assert record["timestamp"] <= record["deliveredAt"] <= record["readAt"]


async def test_mail_waits_for_a_busy_session(start: Start, model: ScriptedModel) -> None:
    """M08: no second call while a turn runs; then all of one trace, once, in order, in one turn."""
    texts = ["first", "second", "third"]
    model.script(
        "a",
        [call("send_message_to_session", target_session="b", message=text) for text in texts]
        + [say("sent")],
    )
    daemon = await start("a", "b")
    gate = model.hold("b")
    await daemon.prompt("b", "think hard")
    await gate.reached()
    assert await daemon.say("a", "tell b three things") == "sent"
    assert len(model.of("b")) == 1
    gate.open()
    await model.until(lambda: len(model.of("b")) == 2)
    await daemon.idle()
    assert model.most_at_once["b"] == 1
    assert len(model.of("b")) == 2
    shown = [m["content"] for m in model.of("b")[-1].messages if m["role"] == "user"]
    assert shown[0] == "think hard"
    places = [shown[-1].index(text) for text in texts]
    assert places == sorted(places)
    assert all(text not in line for line in shown[:-1] for text in texts)


async def test_what_waits_starts_by_priority(start: Start, model: ScriptedModel) -> None:
    """K06, contract 2: the operator's own first, then by priority, then by acceptance."""
    daemon = await start("a", "b")
    gate = model.hold("b")
    await daemon.prompt("b", "busy")
    await gate.reached()
    await send(daemon, "a", "b", "low", priority=1)
    await send(daemon, "a", "b", "high", priority=9)
    await send(daemon, "a", "b", "also high", priority=9)
    await daemon.post("/api/messages", to="b", content="human", priority=0)
    gate.open()
    await model.until(lambda: len(model.of("b")) == 5)
    await daemon.idle()
    last = [request.messages[-1]["content"] for request in model.of("b")[1:]]
    order = ["\nhuman\n", "\nhigh\n", "\nalso high\n", "\nlow\n"]
    assert [text in shown for text, shown in zip(order, last, strict=True)] == [True] * 4


REFUSED: list[tuple[JSON, str]] = [
    ({"target_session": "nobody"}, "unknown_session"),
    ({"target_session": "../b"}, "unknown_session"),
    ({"target_session": ""}, "unknown_session"),
    ({"target_session": "off"}, "session_disabled"),
    ({"target_session": "apart"}, "a2a_disabled"),
    ({"target_session": "a"}, "self_send"),
    ({"message": ""}, "empty_message"),
    ({"message": " \n\t"}, "empty_message"),
    ({"message": "x" * (256 * 1024 + 1)}, "too_large"),
    ({"message": 7}, "invalid_arguments"),
    ({"target_session": []}, "no_target"),
    ({"target_session": ["b"], "wait_seconds": 1}, "wait_for_one"),
    ({"thread_id": ""}, "invalid_thread"),
    ({"thread_id": "x" * 257}, "invalid_thread"),
    ({"thread_id": "line\nline"}, "invalid_thread"),
    ({"thread_id": "\u202etxet"}, "invalid_thread"),
    ({"priority": 11}, "invalid_priority"),
    ({"priority": -1}, "invalid_priority"),
    ({"priority": True}, "invalid_arguments"),
    ({"ttl_seconds": 0}, "invalid_ttl"),
    ({"ttl_seconds": -1}, "invalid_ttl"),
    ({"wait_seconds": -1}, "invalid_wait"),
    ({"wait_seconds": 601}, "invalid_wait"),
    ({"from": "operator"}, "invalid_arguments"),
]


async def test_refusals(start: Start) -> None:
    """M26: one defined error each, nothing stored, and the daemon as well as before."""
    apart = {"a2a": {"enabled": False}}
    daemon = await start("a", "b", "off", "apart", off={"enabled": False}, apart=apart)
    for arguments, code in REFUSED:
        answer = await daemon.tool(
            "a", "send_message_to_session", **{"target_session": "b", "message": "x"} | arguments
        )
        assert (answer["error"], bool(answer["message"])) == (code, True), arguments
    assert (await daemon.get("/api/messages", session="*"))["items"] == []
    assert await daemon.say("b", "are you well?") == "ok"


def watched(log: Path, looks: list[bytes], over: threading.Event) -> None:
    """Read a log as quickly as it goes, and keep each content that differs from the last."""
    while True:
        last = over.is_set()
        content = log.read_bytes() if log.exists() else b""
        if content != looks[-1]:
            looks.append(content)
        if last:
            return


async def test_rapid_sends_lose_nothing(start: Start, model: ScriptedModel) -> None:
    """M27: many messages, tasks and creations at once: none lost, ids unique, files whole."""
    many = ["b", "c", "d", "e", "f"]
    limits = {"sendsPerMinute": 1000, "maxSessionsPerHour": 50, "maxAutonomousTurnsPerHour": 1000}
    daemon = await start("a", *many, limits=limits)
    five = [send(daemon, "a", to, "hello") for to in many]
    three = [
        daemon.tool("a", "delegate_task_async", target_session=to, task="work") for to in many[:3]
    ]
    answers = await asyncio.gather(*five, *three)
    assert all("error" not in answer for answer in answers)
    looks, over = [b""], threading.Event()
    watching = asyncio.create_task(
        asyncio.to_thread(watched, daemon.home / "state/sessions.jsonl", looks, over)
    )
    more = await asyncio.gather(
        *(send(daemon, "a", many[n % 5], f"message {n}") for n in range(100)),
        *(
            daemon.tool("a", "delegate_task_async", target_session=many[n % 5], task=f"task {n}")
            for n in range(50)
        ),
        *(
            daemon.tool(
                "a",
                "create_session",
                session_id=f"new-{n}",
                provider_template="scripted",
                name="New",
            )
            for n in range(10)
        ),
    )
    over.set()
    await watching
    assert len(looks) > 2, "it was looked at while it grew"
    for earlier, later in itertools.pairwise(looks):
        assert later.startswith(earlier)
        assert [json.loads(line)["id"] for line in later.splitlines()]
        assert later.endswith(b"\n")
    assert [answer for answer in more if "error" in answer] == []
    sent = {answer["id"] for answer in (*answers[:5], *more[:100])}
    assert len(sent) == 105
    stored = {
        message["id"]
        for to in many
        for message in latest(daemon.home / f"workspaces/{to}/session_messages.jsonl")
    }
    assert sent <= stored
    tasks = {answer["taskId"] for answer in (*answers[5:], *more[100:150])}
    assert len(tasks) == 53
    assert tasks <= {task["id"] for task in lines_of(daemon.home / "state/tasks.jsonl")}
    created = {record["id"] for record in lines_of(daemon.home / "state/sessions.jsonl")}
    assert created == {f"new-{n}" for n in range(10)}
    await daemon.idle()


async def test_one_send_to_many(start: Start) -> None:
    """Comms, tools: a list of targets gets one message each; a refusal names its target alone."""
    daemon = await start("a", "b", "c", "off", b=QUIET, c=QUIET, off={"enabled": False})
    answer = await send(daemon, "a", ["b", "c", "b", "off", "nobody"], "to you all", thread_id="t")
    results = {result["to"]: result for result in answer["messages"]}
    assert [result["to"] for result in answer["messages"]] == ["b", "c", "off", "nobody"]
    assert results["off"]["error"] == "session_disabled"
    assert results["nobody"]["error"] == "unknown_session"
    for target in ("b", "c"):
        (message,) = await read(daemon, target)
        assert (message["id"], message["threadId"]) == (results[target]["id"], "t")


async def test_a_broadcast_reaches_every_visible_session_once(start: Start) -> None:
    """Comms, tools: everyone that the sender sees, once; by capability; one send for the rate."""
    skilled = QUIET | {"capabilities": ["paint"]}
    hidden = {"a2a": {"hiddenFromAgents": True}}
    daemon = await start(
        "a", "b", "c", "h", b=QUIET, c=skilled, h=hidden, a={"limits": {"sendsPerMinute": 2}}
    )
    everyone = await daemon.tool("a", "broadcast_message", message="all of you")
    assert sorted(message["to"] for message in everyone["messages"]) == ["b", "c"]
    painters = await daemon.tool("a", "broadcast_message", message="painters", capability="paint")
    assert [message["to"] for message in painters["messages"]] == ["c"]
    third = await daemon.tool("a", "broadcast_message", message="once more")
    assert third["error"] == "guard_sends_per_minute"
    nobody = await daemon.tool("b", "broadcast_message", message="x", capability="fly")
    assert nobody["error"] == "nobody"
    assert [m["content"] for m in await read(daemon, "c")] == ["all of you", "painters"]


async def test_a_session_may_be_told_in_the_middle_of_a_turn(
    start: Start, model: ScriptedModel
) -> None:
    """Comms, tools: what a turn fetched by itself starts no turn of its own afterwards."""
    model.script("b", [call("read_session_messages"), say("read it")])
    daemon = await start("a", "b")
    gate = model.hold("b")
    turn = await daemon.prompt("b", "look at your mail")
    await gate.reached()
    sent = await send(daemon, "a", "b", "news")
    gate.open()
    assert await daemon.ended(turn) == "read it"
    await daemon.idle()
    assert len(model.of("b")) == 2
    assert sent["id"] in str(model.of("b")[-1].messages)
    assert (await daemon.get(f"/api/messages/{sent['id']}"))["state"] == "read"
