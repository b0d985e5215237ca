"""Mailboxes as files: damaged, foreign, pruned, compacted; nothing good is ever lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import latest, lines_of
from clawd.testing.model import ScriptedModel
from clawd.upkeep.findings import Finding
from clawd.upkeep.fsck import verify

QUIET: dict[str, Any] = {"a2a": {"wakeOnMessage": False}}
JSON = dict[str, Any]


def message(number: int, **more: Any) -> JSON:
    """A message as the system of seed 004 wrote it."""
    return {
        "id": f"msg_{number}",
        "from": "a",
        "to": "b",
        "content": f"message {number}",
        "timestamp": f"2026-01-01T00:00:0{number}.000Z",
        "read": False,
        **more,
    }


def box_of(daemon: RunningDaemon, owner: str = "b") -> Path:
    """A mailbox's file."""
    return daemon.home / f"workspaces/{owner}/session_messages.jsonl"


async def filled(start: Start, count: int) -> RunningDaemon:
    """A daemon that was stopped with so many messages in the mailbox of ``b``."""
    daemon = await start("a", "b", b=QUIET)
    for number in range(count):
        await send(daemon, f"message {number}")
    await daemon.stop()
    return daemon


async def send(daemon: RunningDaemon, text: str, to: str = "b") -> None:
    """A message from ``a``."""
    sent = await daemon.tool("a", "send_message_to_session", target_session=to, message=text)
    assert sent["state"] == "stored"


async def contents(daemon: RunningDaemon, owner: str = "b") -> list[str]:
    """What a mailbox holds, as the daemon sees it."""
    return [m["content"] for m in (await daemon.get("/api/messages", session=owner))["items"]]


async def problems(daemon: RunningDaemon) -> list[str]:
    """What the daemon said about damage."""
    notices = (await daemon.get("/api/status"))["notices"]
    return [n["text"] for n in notices if n["code"] == "storage_mended"]


async def test_a_torn_tail(start: Start) -> None:
    """M21: what was cut is set aside and reported; earlier mail is whole, later mail is written."""
    daemon = await filled(start, 3)
    box = box_of(daemon)
    whole = box.read_bytes()
    box.write_bytes(whole[:-10])
    await daemon.start()
    await send(daemon, "one more")
    assert await contents(daemon) == ["message 0", "message 1", "one more"]
    (said,) = await problems(daemon)
    assert "session_messages.jsonl: line 3" in said
    assert "incomplete" in said
    (aside,) = box.parent.glob("session_messages.jsonl.torn-*")
    assert aside.read_bytes() == whole.split(b"\n")[2][: -10 + 1]
    assert len(lines_of(box)) == 3


async def test_a_torn_tail_is_no_damage_once_it_is_mended(start: Start) -> None:
    """M21, R04: ``fsck`` accuses none of the lines that came after it, now or after a stop."""
    daemon = await filled(start, 14)
    box = box_of(daemon)
    for text in ("a message that is longer than the one that was lost", "message 13"):
        box.write_bytes(box.read_bytes()[:-10])
        await daemon.start()
        await send(daemon, text)
        assert not await asyncio.to_thread(damage, daemon.home)
        await daemon.stop()
        await daemon.start()
        await daemon.stop()
        assert not damage(daemon.home)
    whole = box.read_bytes()
    box.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    (gone,) = damage(daemon.home)
    assert (gone.line, gone.text.split(":")[0]) == (14, "and what followed are gone")


def damage(home: Path) -> list[Finding]:
    """What ``clawd fsck`` calls damage in a home."""
    found = [finding for file in verify(home).files for finding in file.findings]
    return [finding for finding in found if finding.severity == "damage"]


GOOD = [json.dumps(message(number)).encode() for number in range(4)]
FOREIGN = json.dumps(message(9) | {"to": "somebody"}).encode()
SHAPES: dict[str, tuple[bytes, int, int]] = {
    # What the file holds, how many of the messages load, and how many lines are rejected.
    "garbage": (b"\n".join([GOOD[0], b"rubbish", GOOD[1], b""]), 2, 1),
    "blank lines": (b"\n".join([GOOD[0], b"", b"  ", GOOD[1], b"", b""]), 2, 0),
    "CRLF": (b"\r\n".join([GOOD[0], GOOD[1], b""]), 2, 0),
    "no last LF": (b"\n".join([GOOD[0], GOOD[1]]), 2, 0),
    "fused": (b"\n".join([GOOD[0] + GOOD[1], GOOD[2], b""]), 3, 0),
    "fused with a torn one": (b"\n".join([GOOD[0][:20] + GOOD[1], GOOD[2], b""]), 1, 1),
    "somebody else's": (b"\n".join([GOOD[0], FOREIGN, GOOD[1], b""]), 2, 1),
    "wrong types": (b"\n".join([b'{"id": 7}', b"[]", b"null", GOOD[1], b""]), 1, 3),
    "not UTF-8": (b"\n".join([GOOD[0], GOOD[1].replace(b"message 1", b"\xff\xfe"), b""]), 1, 1),
    "NUL bytes": (b"\n".join([GOOD[0], b"\0" * 40, GOOD[1], b""]), 2, 1),
    "line separators": (
        json.dumps(message(0, content="a\u2028b\u0085c"), ensure_ascii=False).encode() + b"\n",
        1,
        0,
    ),
}


async def test_damage_in_the_middle(start: Start) -> None:
    """M22: bad lines are copied aside with number and reason; all else loads and is never lost."""
    owners = {f"b{number}": shape for number, shape in enumerate(SHAPES)}
    daemon = await start("a", *owners, **dict.fromkeys(owners, QUIET))
    await daemon.stop()
    boxes = {owner: box_of(daemon, owner) for owner in owners}
    for owner, shape in owners.items():
        written = SHAPES[shape][0].replace(b'"to": "b"', f'"to": "{owner}"'.encode())
        boxes[owner].write_bytes(written)
    await daemon.start()
    said = await problems(daemon)
    for owner, shape in owners.items():
        _, good, bad = SHAPES[shape]
        assert len(await contents(daemon, owner)) == good, shape
        await send(daemon, "one more", owner)
        await daemon.post("/api/messages/compact", session=owner)
        assert len(lines_of(boxes[owner])) == good + 1, shape
        aside = boxes[owner].with_name(f"{boxes[owner].name}.rejected")
        rejected = lines_of(aside) if aside.exists() else []
        assert len(rejected) == bad, shape
        assert all(line["reason"] and line["line"] for line in rejected), shape
        assert len([text for text in said if f"/{owner}/" in text]) >= bad, shape


async def test_mail_of_the_seeds_own_system(start: Start, model: ScriptedModel) -> None:
    """Comms, file: a file that holds the seven fields alone loads unchanged and is delivered."""
    daemon = await start("a", "b")
    await daemon.stop()
    records = [message(1, read=True), message(2, threadId="conversation-xyz"), message(3)]
    box_of(daemon).write_text("".join(json.dumps(r) + "\n" for r in records))
    await daemon.start()
    await model.until(lambda: len(model.of("b")) == 2)
    await daemon.idle()
    said = str([r.messages[-1] for r in model.of("b")])
    assert "message 1" not in said
    assert all(text in said for text in ("message 2", "message 3", "conversation-xyz"))
    seven = [
        {key: m.get(key) for key in r} for r, m in zip(records, latest(box_of(daemon)), strict=True)
    ]
    assert seven == [r | {"read": True} for r in records]


async def test_prune_removes_what_was_read(start: Start) -> None:
    """Comms: prune takes read mail by thread and age; unread mail never goes."""
    daemon = await start("a", "b", b=QUIET)
    for thread in ("old", "old", "kept"):
        await daemon.tool(
            "a", "send_message_to_session", target_session="b", message=thread, thread_id=thread
        )
    await daemon.tool("b", "read_session_messages")
    await daemon.tool(
        "a", "send_message_to_session", target_session="b", message="unread", thread_id="old"
    )

    async def prune(**options: Any) -> int:
        return int((await daemon.post("/api/messages/prune", session="b", **options))["removed"])

    assert await prune(thread="old", olderThanSeconds=3600) == 0
    assert await prune(thread="old", dryRun=True) == 2
    assert len(await contents(daemon)) == 4
    assert await prune(thread="old") == 2
    assert await contents(daemon) == ["kept", "unread"]
    await daemon.kill()
    await daemon.start()
    assert await contents(daemon) == ["kept", "unread"]
    assert [m["content"] for m in lines_of(box_of(daemon))] == ["kept", "unread"]


async def test_compaction_keeps_one_line_a_message(start: Start) -> None:
    """Comms, file: changes add lines; compacting leaves one whole line for each message."""
    daemon = await start("a", "b", b=QUIET)
    for number in range(5):
        await send(daemon, f"message {number}")
    await daemon.tool("b", "read_session_messages")
    before = latest(box_of(daemon))
    assert len(lines_of(box_of(daemon))) == 10
    sizes = await daemon.post("/api/messages/compact", session="b")
    assert sizes["before"] > sizes["after"] == box_of(daemon).stat().st_size
    assert lines_of(box_of(daemon)) == before
    await daemon.kill()
    await daemon.start()
    assert len(await contents(daemon)) == 5


async def test_a_workspace_that_is_gone_is_an_error_to_the_sender(start: Start) -> None:
    """Comms, file: what cannot be stored is not acknowledged, and the session goes on later."""
    daemon = await start("a", "b", b=QUIET)
    workspace = box_of(daemon).parent
    aside = workspace.with_name("elsewhere")
    workspace.rename(aside)
    workspace.write_text("in the way")
    refused = await daemon.tool("a", "send_message_to_session", target_session="b", message="lost?")
    assert refused["error"].startswith("storage")
    assert "workspaces/b" in refused["message"]
    workspace.unlink()
    aside.rename(workspace)
    await send(daemon, "kept")
    assert await contents(daemon) == ["kept"]
