"""What becomes of messages: restarts, kills, failures, expiry, receipts, limits."""

from __future__ import annotations

from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.homes import latest
from clawd.testing.model import ScriptedModel, call, say

QUIET: dict[str, Any] = {"a2a": {"wakeOnMessage": False}}
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


async def test_a_restart_forgets_nothing(start: Start, model: ScriptedModel) -> None:
    """M19: after a graceful restart messages with their marks, tasks and history are back."""
    model.script("c", [call("complete_async_task", task_id="?", result="?"), say("did it")])
    daemon = await start("a", "b", "c", b=QUIET)
    await send(daemon, "a", "b", "read", thread_id="t")
    await daemon.tool("b", "read_session_messages")
    await send(daemon, "a", "b", "unread", priority=7)
    await daemon.tool("a", "delegate_task_async", target_session="c", task="work")
    await daemon.say("a", "remember me")
    await daemon.idle()
    before = [
        await mail(daemon, "*"),
        (await daemon.get("/api/tasks"))["items"],
        (await daemon.get("/api/sessions/a/transcript"))["items"],
        (await daemon.get("/api/sessions/c/transcript"))["items"],
    ]
    assert await daemon.stop() == 0
    await daemon.start()
    await daemon.idle()
    assert before == [
        await mail(daemon, "*"),
        (await daemon.get("/api/tasks"))["items"],
        (await daemon.get("/api/sessions/a/transcript"))["items"],
        (await daemon.get("/api/sessions/c/transcript"))["items"],
    ]
    assert [m["read"] for m in await mail(daemon, "b")] == [True, False]


async def test_a_kill_in_the_middle_of_a_turn(start: Start, model: ScriptedModel) -> None:
    """M20: killed while the model holds the call: the turn goes on, nothing is shown twice."""
    gate = model.hold("b")
    daemon = await start("a", "b")
    first = await send(daemon, "a", "b", "first message")
    await gate.reached()
    second = await send(daemon, "a", "b", "second message")
    task = await daemon.tool("a", "delegate_task_async", target_session="b", task="the task")
    await daemon.kill()
    gate.open()
    await daemon.start()
    await model.until(lambda: len(model.of("b")) == 4)
    await daemon.idle()
    last = str(model.of("b")[-1].messages)
    for text in ("first message", "second message", "the task"):
        assert last.count(f"\\n{text}\\n") == 1
    assert {m["id"]: m["state"] for m in await mail(daemon, "b")} == {
        first["id"]: "read",
        second["id"]: "read",
    }
    (kept,) = (await daemon.get("/api/tasks"))["items"]
    assert (kept["id"], kept["status"]) == (task["taskId"], "completed")


async def test_kills_at_every_step(start: Start, model: ScriptedModel) -> None:
    """M20: killed again and again, each acknowledged message is delivered, and shown once."""
    model.rule("b", lambda _: say("ok"))
    daemon = await start("a", "b")
    sent: list[str] = []
    for number in range(4):
        sent.append((await send(daemon, "a", "b", f"message {number}"))["id"])
        # Killed at once: before, in, or after the turn that it starts.
        await daemon.kill()
        await daemon.start()
        await daemon.idle()
    assert {m["id"]: m["state"] for m in await mail(daemon, "b")} == dict.fromkeys(sent, "read")
    history = (daemon.home / "workspaces/b/history.jsonl").read_text()
    assert [history.count(f"<<<{message_id}\\n") for message_id in sent] == [1] * 4


async def test_mail_of_a_failed_turn(start: Start, model: ScriptedModel) -> None:
    """Comms, life: given up on, a message is dead and its sender told; requeue tries it again."""
    model.script("b", [call("list_agents")])
    daemon = await start("a", "b", a=QUIET, b={"limits": {"maxModelCallsPerTurn": 1}})
    sent = await send(daemon, "a", "b", "do it", thread_id="t")
    await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"].get("state") == "dead"
    )
    await daemon.idle()
    (dead,) = await mail(daemon, "b", state="dead")
    assert dead["id"] == sent["id"]
    assert "model calls" in dead["reason"]
    (told,) = await mail(daemon, "a")
    assert told["content"].startswith(f"Message {sent['id']} was not delivered to b: ")
    assert (told["from"], told["threadId"], told["type"]) == ("b", "t", "notice")

    again = await daemon.post("/api/messages/requeue", id=sent["id"])
    assert again["state"] == "stored"
    await model.until(lambda: len(model.of("b")) == 2)
    await daemon.idle()
    assert (await daemon.get(f"/api/messages/{sent['id']}"))["state"] == "read"
    with pytest.raises(ApiError) as refused:
        await daemon.post("/api/messages/requeue", id=sent["id"])
    assert refused.value.code == "not_dead"
    assert len(await mail(daemon, "a")) == 1


async def test_a_message_expires(start: Start, model: ScriptedModel) -> None:
    """K07: what was not read in its time is not delivered; the sender is told at once."""
    daemon = await start("a", "b", a=QUIET)
    gate = model.hold("b")
    await daemon.prompt("b", "busy")
    await gate.reached()
    sent = await send(daemon, "a", "b", "hurry", ttl_seconds=0.05)
    await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"].get("state") == "expired",
        seconds=5,
    )
    (told,) = await mail(daemon, "a")
    assert told["content"] == f"Message {sent['id']} expired before b read it"
    gate.open()
    await daemon.idle()
    assert len(model.of("b")) == 1
    assert (await daemon.get(f"/api/messages/{sent['id']}"))["state"] == "expired"
    lasting = await send(daemon, "a", "b", "no hurry", ttl_seconds=3600)
    await model.until(lambda: len(model.of("b")) == 2)
    await daemon.idle()
    assert (await daemon.get(f"/api/messages/{lasting['id']}"))["state"] == "read"


async def test_a_receipt(start: Start, model: ScriptedModel) -> None:
    """Comms, tools: an acknowledgement is in the sender's mailbox, once, and wakes nobody."""
    daemon = await start("a", "b", b=QUIET)
    first = await send(daemon, "a", "b", "one")
    second = await send(daemon, "a", "b", "two")
    both = [first["id"], second["id"]]
    for _ in range(2):
        answer = await daemon.tool("b", "acknowledge_message", message_id=both, note="got it")
        assert answer["ids"] == both
    assert [(m["note"], m["state"]) for m in await mail(daemon, "b")] == [("got it", "read")] * 2
    receipts = await mail(daemon, "a")
    assert [m["content"] for m in receipts] == [f"Message {i} was read: got it" for i in both]
    assert [m["type"] for m in receipts] == ["receipt"] * 2
    unknown = await daemon.tool("a", "acknowledge_message", message_id=first["id"])
    assert unknown["error"] == "unknown_message"
    await daemon.kill()
    await daemon.start()
    await daemon.idle()
    assert model.of("a") == []
    await daemon.say("a", "anything new?")
    assert "Unread messages: 2." in model.of("a")[0].messages[0]["content"]


async def test_a_session_that_reads_its_mail_itself(start: Start, model: ScriptedModel) -> None:
    """Comms, life: with ``wakeOnMessage`` off no mail starts a turn, also not after a restart."""
    daemon = await start("a", "b", b=QUIET)
    await send(daemon, "a", "b", "no hurry")
    await daemon.stop()
    await daemon.start()
    await daemon.say("b", "hello")
    assert len(model.of("b")) == 1
    assert "Unread messages: 1." in model.of("b")[0].messages[0]["content"]


async def test_the_operators_mailbox(start: Start, model: ScriptedModel) -> None:
    """Comms, targets: a message to the human is kept, is an event, and wakes no model."""
    model.script("a", [call("send_message_to_session", target_session="operator", message="Look!")])
    daemon = await start("a")
    await daemon.say("a", "tell me")
    event = await daemon.until(
        lambda e: e["event"] == "session_message" and e["session"] == "operator"
    )
    (kept,) = latest(daemon.home / "state/operator_messages.jsonl")
    assert (kept["from"], kept["to"], kept["content"]) == ("a", "operator", "Look!")
    assert event["message"]["id"] == kept["id"]
    assert (await daemon.get("/api/status"))["unread"] == 1
    await daemon.kill()
    await daemon.start()
    assert [m["content"] for m in await mail(daemon, "operator", unread="true")] == ["Look!"]
    await daemon.post("/api/messages/read", ids=[kept["id"]])
    assert await mail(daemon, "operator", unread="true") == []
    answered = await daemon.post("/api/messages", to="a", content="I did", replyTo=kept["id"])
    assert answered["from"] == "operator"
    assert answered["replyTo"] == kept["id"]
    await daemon.idle()
    assert "from your human, the operator" in model.of("a")[-1].messages[-1]["content"]


async def test_threads_of_tasks_belong_to_two(start: Start) -> None:
    """Comms, tasks: nobody else writes in a task's thread, nor is written to in it."""
    daemon = await start("a", "b", "c", a=QUIET, b=QUIET, c=QUIET)
    task = (await daemon.tool("a", "delegate_task_async", target_session="b", task="w"))["taskId"]
    await daemon.idle()
    assert "error" not in await send(daemon, "a", "b", "how is it going?", thread_id=task)
    assert "error" not in await send(daemon, "b", "a", "well", thread_id=task)
    for sender, to in (("c", "b"), ("a", "c")):
        refused = await send(daemon, sender, to, "me too", thread_id=task)
        assert refused["error"] == "thread_of_a_task"
    assert "error" not in await send(daemon, "a", "b", "a label", thread_id="task-123")


async def test_an_answer_stays_in_its_thread(start: Start, model: ScriptedModel) -> None:
    """Comms, answer: a send to who woke the turn carries ``replyTo`` and stays in the thread."""
    model.script(
        "b",
        [
            call("send_message_to_session", target_session="a", message="to you"),
            call("send_message_to_session", target_session="c", message="to another"),
            say("done"),
        ],
    )
    daemon = await start("a", "b", "c", a=QUIET, c=QUIET)
    sent = await send(daemon, "a", "b", "question", thread_id="t")
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "b")
    await daemon.idle()
    (to_a,), (to_c,) = await mail(daemon, "a"), await mail(daemon, "c")
    assert (to_a["replyTo"], to_a["threadId"]) == (sent["id"], "t")
    assert "replyTo" not in to_c
    assert to_c["threadId"] is None
    assert (await daemon.get(f"/api/messages/{sent['id']}"))["state"] == "answered"
