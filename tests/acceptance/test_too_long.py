"""What can be asked, but never be kept in a transcript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.homes import write_config


def read_config(home: Path) -> dict[str, Any]:
    """The configuration as it stands."""
    found: dict[str, Any] = json.loads((home / "config.json").read_text(encoding="utf-8"))
    return found


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


async def test_no_line_is_longer_than_its_limit(start: Start) -> None:
    """Guards: ``maxLineBytes`` bounds every log, is named, and takes nothing that is there."""
    daemon = await start("a", limits={"maxLineBytes": 4_000})
    with pytest.raises(ApiError, match="longer than the 4000 allowed") as caught:
        await daemon.post("/api/messages", to="a", content="x" * 4_000)
    assert (caught.value.http, caught.value.body["limit"]) == (507, 4_000)
    assert (caught.value.body["retryable"], caught.value.body["scope"]) == (False, "one line")
    kept = await daemon.post("/api/messages", to="a", content="x" * 3_000)
    await daemon.idle()
    write_config(daemon.home, read_config(daemon.home) | {"limits": {"maxLineBytes": 1_000}})
    await daemon.stop()
    await daemon.start()
    assert (await daemon.get(f"/api/messages/{kept['id']}"))["content"] == "x" * 3_000
