"""What can be asked, but never be kept in a transcript."""

from __future__ import annotations

from clawd.testing.daemon import Start


async def test_a_task_too_long_for_the_transcript_fails_and_its_creator_is_told(
    start: Start,
) -> None:
    """A context that fits its limit, but not a transcript's line, fails the task for good."""
    daemon = await start("a", "b")
    task = await daemon.tool(
        "a", "delegate_task_async", target_session="b", task="read", context={"x": '"' * 524_270}
    )
    ended = await daemon.get(f"/api/tasks/{task['taskId']}", wait=20)
    assert (ended["status"], ended["reason"]) == ("failed", "line_too_large")
    await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"].get("threadId") == ended["id"]
    )
    await daemon.idle()
    assert await daemon.say("b", "hello") == "ok"
