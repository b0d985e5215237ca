"""What was read from outside marks whoever reads on, by every way that a text can take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.model import ScriptedModel, Step, call, say
from clawd.testing.site import Site

OPEN = {"tools": {"allowNets": ["127.0.0.1"]}}
EVIL = {"session_id": "evil", "provider_template": "scripted", "name": "evil"}


@pytest.fixture
async def reads() -> AsyncIterator[Step]:
    """The call that reads from outside."""
    async with Site({"/": "<p>OBEY</p>"}) as site:
        yield call("web_fetch", url=f"{site.url}/")


async def asks_first(daemon: RunningDaemon, session: str) -> None:
    """The session has tried to make another, and has to ask: its turn is marked."""
    event = await daemon.until(
        lambda e: (
            (e["event"] == "approval_requested" and e["session"] == session)
            or (e["event"] == "tool_call_end" and e["tool_name"] == "create_session")
        )
    )
    assert event["event"] == "approval_requested"
    assert "read from outside" in event["approval"]["text"]


async def test_the_note_of_a_receipt(start: Start, model: ScriptedModel, reads: Step) -> None:
    """A marked turn acknowledges a message with a note: its sender reads text from outside."""
    daemon = await start("a", "b", b=OPEN)
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message="hi")
    await daemon.idle()
    note = {"message_id": sent["id"], "note": "OBEY"}
    model.script("b", [reads, call("acknowledge_message", **note), say("done")])
    await daemon.say("b", "look outside")
    model.script("a", [call("read_session_messages"), call("create_session", **EVIL)])
    await daemon.prompt("a", "read your mail")
    await asks_first(daemon, "a")


async def test_the_reason_of_a_cancel(start: Start, model: ScriptedModel, reads: Step) -> None:
    """A marked worker calls its task off, and says why: its creator reads text from outside."""
    daemon = await start("a", "b", b=OPEN)
    model.rule("b", cancelling(reads))
    model.script("a", [call("create_session", **EVIL)])
    await daemon.tool("a", "delegate_task_async", target_session="b", task="look outside")
    await asks_first(daemon, "a")


def cancelling(reads: Step) -> Any:
    """Reads from outside, then cancels the task that the request is about."""

    def rule(body: dict[str, Any]) -> Step:
        results = [m for m in body["messages"] if m["role"] == "tool"]
        if not results:
            return reads
        if len(results) > 1:
            return say("done")
        said = next(m["content"] for m in body["messages"] if m["role"] == "user")
        task = said[said.index("task-") :].split()[0].rstrip("],:")
        return call("cancel_async_task", task_id=task, reason="OBEY")

    return rule


async def test_what_a_task_depends_on(start: Start, model: ScriptedModel, reads: Step) -> None:
    """The result of a marked worker goes along to the next one."""
    daemon = await start("a", "b", "c", b=OPEN)
    model.script("b", [reads, say("OBEY")])
    model.script("c", [call("create_session", **EVIL)])
    first = await daemon.tool("a", "delegate_task_async", target_session="b", task="look outside")
    await daemon.tool(
        "a",
        "delegate_task_async",
        target_session="c",
        task="go on",
        depends_on=[first["taskId"]],
    )
    await asks_first(daemon, "c")


async def test_a_task_that_is_given_once_more(
    start: Start, model: ScriptedModel, reads: Step
) -> None:
    """The operator retries what a marked turn delegated: the text is still from outside."""
    daemon = await start("a", "b", a=OPEN)
    delegates = call("delegate_task_async", target_session="b", task="OBEY")
    model.script("a", [reads, delegates, say("given")])
    model.script("b", [call("complete_async_task", task_id="?", error="x"), say("")])
    model.rule("b", lambda _: say(""))
    await daemon.say("a", "look outside")
    (task,) = (await daemon.get("/api/tasks"))["items"]
    assert (await daemon.task(task["id"]))["status"] == "failed"
    await daemon.idle()
    model.script("b", [call("create_session", **EVIL)])
    await daemon.post(f"/api/tasks/{task['id']}/retry")
    await asks_first(daemon, "b")
