"""What the operator finds in the morning: notices that outlive the daemon, each thing once."""

from __future__ import annotations

from clawd.testing.daemon import Start
from clawd.testing.homes import latest
from clawd.testing.model import ScriptedModel


async def test_what_was_stopped_is_known_after_a_kill(start: Start, model: ScriptedModel) -> None:
    """Guards: the notice is on disk when it was seen; after ``kill -9`` status has it, once."""
    daemon = await start("a", "b", a={"limits": {"sendsPerMinute": 0}})
    send = {"target_session": "b", "message": "hi"}
    answer = await daemon.tool("a", "send_message_to_session", **send)
    assert answer["error"] == "guard_sends_per_minute"
    file = daemon.home / "state" / "notices.jsonl"
    await daemon.until(lambda e: e["event"] == "notice")
    while not (file.exists() and file.stat().st_size):
        await daemon.get("/api/status")
    await daemon.kill()
    (kept,) = latest(file)
    assert kept["guard"] == answer
    await daemon.start()
    listed = (await daemon.get("/api/status"))["notices"]
    (told,) = [n for n in listed if n["code"] == "guard_sends_per_minute"]
    assert (told["text"], told["session"], told["level"]) == (answer["message"], "a", "warning")
    assert file.stat().st_mode & 0o777 == 0o600
