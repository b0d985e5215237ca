"""The thin thread: one session wakes another, and a killed daemon forgets nothing."""

from __future__ import annotations

from clawd.testing.daemon import Start
from clawd.testing.homes import latest
from clawd.testing.model import ScriptedModel, call, say


async def test_a_session_wakes_another_and_a_kill_loses_nothing(
    start: Start, model: ScriptedModel
) -> None:
    """M07, M20: the message wakes its receiver with sender and id, and is there after a kill."""
    model.script(
        "a", [call("send_message_to_session", target_session="b", message="Hello"), say("sent")]
    )
    model.script("b", [say("heard")])
    daemon = await start("a", "b")
    assert await daemon.say("a", "tell b") == "sent"
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "b")
    await daemon.idle()
    (message,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    assert (message["from"], message["to"], message["content"]) == ("a", "b", "Hello")
    assert message["read"] is True

    await daemon.kill()
    await daemon.start()
    await daemon.idle()
    listed = (await daemon.get("/api/messages", session="b"))["items"]
    assert [m["id"] for m in listed] == [message["id"]]
    assert len([r for r in model.requests if r.model == "b"]) == 1
