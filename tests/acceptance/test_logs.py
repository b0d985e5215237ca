"""The logs: one a session in its workspace, one for the daemon; JSON lines, rotated."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from clawd.testing.daemon import JSON, RunningDaemon, Start
from clawd.testing.homes import lines_of
from clawd.testing.model import ScriptedModel, call, say


def session_log(daemon: RunningDaemon, session: str) -> list[JSON]:
    """A session's log; every line of it parses."""
    return lines_of(daemon.home / f"workspaces/{session}/logs/session.log")


def messages(lines: list[JSON]) -> list[tuple[str, str]]:
    """The messages of a log with their states, each once."""
    found = [line["message"] for line in lines if line["event"] == "session_message"]
    return list(dict.fromkeys((m["id"], m.get("state", "stored")) for m in found))


async def test_send_wake_delegate_and_complete_are_in_the_logs_of_both(
    start: Start, model: ScriptedModel
) -> None:
    """M36: who sent, who woke, what was delegated and how it ended, with the ids, line by line."""

    def work(body: JSON) -> Any:
        last = body["messages"][-1]
        if last["role"] == "tool" or "[task " not in last["content"]:
            return say("fine")
        task_id = last["content"].split()[1]
        return call("complete_async_task", task_id=task_id, result="42")

    model.script(
        "a",
        [
            call("send_message_to_session", target_session="b", message="hello"),
            call("delegate_task_async", target_session="b", task="count"),
            say("given"),
        ],
    )
    model.rule("b", work)
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "go")
    await daemon.ended(turn)
    await daemon.until(
        lambda e: e["event"] == "task_updated" and e["task"]["status"] == "completed"
    )
    await daemon.idle()
    (sent,) = (await daemon.get("/api/messages", session="b"))["items"]
    (task,) = (await daemon.get("/api/tasks"))["items"]
    await daemon.stop()

    ours, theirs = session_log(daemon, "a"), session_log(daemon, "b")
    for lines in (ours, theirs):
        assert (sent["id"], "stored") in messages(lines)
        assert (sent["id"], "read") in messages(lines)
        states = [
            line["task"]["status"]
            for line in lines
            if line["event"] == "task_updated" and line["task"]["id"] == task["id"]
        ]
        assert list(dict.fromkeys(states)) == ["pending", "processing", "completed"]
        assert {line["level"] for line in lines} <= {"info", "warning", "error"}
        assert all(line["time"].endswith("Z") and line["seq"] > 0 for line in lines)
    calls = [line for line in ours if line["event"] == "tool_call_end"]
    assert [line["tool_name"] for line in calls] == [
        "send_message_to_session",
        "delegate_task_async",
    ]
    assert sent["id"] in calls[0]["result"]
    assert task["id"] in calls[1]["result"]
    assert {line["run_id"] for line in calls} == {turn}
    wakes = [line["trigger"] for line in theirs if line["event"] == "run_started"]
    assert sorted(wakes) == ["message", "task"]
    assert [line["tool_name"] for line in theirs if line["event"] == "tool_call_end"] == [
        "complete_async_task"
    ]
    woken = [line for line in ours if line["event"] == "run_started"]
    assert [line["trigger"] for line in woken] == ["user", "message"]
    (verdict,) = {
        line["message"]["id"]
        for line in ours
        if line["event"] == "session_message" and line["message"].get("threadId") == task["id"]
    }
    assert woken[1]["trigger_ids"] == [verdict]


async def test_the_daemons_log_has_what_belongs_to_no_session(start: Start) -> None:
    """Its start, what was reloaded, and every notice, also those of sessions."""
    daemon = await start("a")
    config = daemon.home / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("The a", "Another"), "utf-8")
    await daemon.until(lambda e: e.get("code") == "config_reloaded")
    (daemon.home / "workspaces/a/SOUL.md").write_text("x", encoding="utf-8")
    await daemon.until(lambda e: e.get("code") == "identity_changed")
    await daemon.stop()
    lines = lines_of(daemon.home / "state/logs/daemon.log")
    assert any("ready in" in line.get("text", "") for line in lines)
    assert {"config_reloaded", "identity_changed"} <= {line.get("code") for line in lines}


async def test_a_log_is_rotated_at_its_size(start: Start, model: ScriptedModel) -> None:
    """Past ``log.maxBytes`` it goes aside; ``log.keep`` old ones stay; no line is torn."""
    daemon = await start("a", log={"maxBytes": 4096, "keep": 2})
    for number in range(8):
        model.script("a", [say(f"{number} " + "x" * 3000)])
        await daemon.say("a", "go on")
    await daemon.stop()
    folder = daemon.home / "workspaces/a/logs"
    # The newest is not there when the last line of all was the one that filled it.
    names = sorted(p.name for p in folder.iterdir())
    assert [name for name in names if name != "session.log"] == ["session.log.1", "session.log.2"]
    numbers = [
        line["seq"]
        for name in ("session.log.2", "session.log.1", "session.log")
        if name in names
        for line in lines_of(folder / name)
    ]
    assert numbers == sorted(numbers)
    assert all(p.stat().st_size < 4096 + 20_000 for p in folder.iterdir())


async def test_the_level_is_the_least_that_is_written(start: Start) -> None:
    """With ``log.level: warning`` an ordinary turn leaves no line."""
    daemon = await start("a", log={"level": "warning"})
    await daemon.say("a", "hello")
    await daemon.stop()
    assert not (daemon.home / "workspaces/a/logs/session.log").exists()


async def test_a_log_that_was_removed_is_made_again(start: Start, model: ScriptedModel) -> None:
    """Whoever cleans up by hand loses what was there, and nothing that comes."""
    daemon = await start("a")
    log = daemon.home / "workspaces/a/logs/session.log"
    await daemon.say("a", "one")
    await written(log)
    log.unlink()
    await daemon.say("a", "two")
    await daemon.stop()
    assert "run_finished" in {line["event"] for line in session_log(daemon, "a")}


async def written(path: Path) -> None:
    """Wait until a turn's end is in the log."""

    def look() -> bool:
        return path.exists() and b"run_finished" in path.read_bytes()

    async with asyncio.timeout(5):
        while not await asyncio.to_thread(look):
            continue
