"""Notices as they are kept: each thing once, with a count, and only so many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from clawd.daemon.notices import KEPT, Notices
from clawd.events import Notice
from clawd.storage.writer import Writer
from clawd.stream import EventStream


class Later:
    """A clock that keeps what it is asked for until the test lets it happen."""

    def __init__(self) -> None:
        self.due: list[Callable[[], Awaitable[object]]] = []

    def __call__(self, seconds: float, what: Callable[[], Awaitable[object]]) -> None:
        """Remember it."""
        self.due.append(what)

    async def happen(self) -> None:
        """All that is due."""
        due, self.due = self.due, []
        for what in due:
            await what()


async def test_what_comes_again_is_counted(tmp_path: Path) -> None:
    """The same but for its numbers is one notice, over a restart too; another trace is another."""
    writer, later, stream = Writer(), Later(), EventStream()
    writer.start()
    notices = Notices(tmp_path / "notices.jsonl", writer, later)
    stream.observe(notices)
    for seconds in (1, 2, 3):
        stream.publish(Notice(code="blocked", text=f"blocked for {seconds} s", level="warning"))
    for trace in ("t1", "t2", "t2"):
        stream.publish(Notice(code="guard_hops", trace=trace, text="x", level="warning", guard={}))
    stream.publish(Notice(code="info", text="nothing to keep"))
    await later.happen()
    told = [(n["code"], n["text"], n.get("count", 1)) for n in notices.shown()]
    assert told == [
        ("blocked", "blocked for 3 s", 3),
        ("guard_hops", "x", 1),
        ("guard_hops", "x", 2),
    ]
    again = Notices(tmp_path / "notices.jsonl", writer, later)
    assert again.load() == []
    assert sorted(again.shown(), key=str) == sorted(notices.shown(), key=str)
    await writer.close()


async def test_only_so_many_are_kept_in_memory_and_on_disk(tmp_path: Path) -> None:
    """The latest; the file is rewritten when most of it is old."""
    writer, later, stream = Writer(), Later(), EventStream()
    writer.start()
    notices = Notices(tmp_path / "notices.jsonl", writer, later)
    stream.observe(notices)
    for number in range(4 * KEPT + 4):
        stream.publish(Notice(code="c", session=f"s{number}", text="x", level="error"))
        if number % 50 == 0:
            await later.happen()
    await later.happen()
    assert len(notices.shown()) == KEPT
    assert notices.shown()[-1]["session"] == f"s{4 * KEPT + 3}"
    lines = (tmp_path / "notices.jsonl").read_text(encoding="utf-8").splitlines()
    assert KEPT <= len(lines) < 3 * KEPT + 1_000
    await writer.close()


async def test_a_file_that_cannot_be_read_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """It is a line for the operator, and notices go on in memory."""
    (tmp_path / "notices.jsonl").mkdir()
    writer, stream = Writer(), EventStream()
    notices = Notices(tmp_path / "notices.jsonl", writer, Later())
    (problem,) = notices.load()
    assert "notices are not kept" in problem
    stream.observe(notices)
    stream.publish(Notice(code="c", text="x", level="error"))
    assert len(notices.shown()) == 1
