"""When a log is worth rewriting."""

from __future__ import annotations

from pathlib import Path

import msgspec

from clawd.storage.jsonl import SPARE_LINES, Log
from clawd.storage.writer import Writer


class Entry(msgspec.Struct, frozen=True):
    """A record."""

    id: str
    text: str


async def test_a_log_of_mostly_old_lines_asks_to_be_compacted(tmp_path: Path) -> None:
    """A few superseded lines are kept; many of them make the log wasteful, until compacted."""
    writer = Writer()
    writer.start()
    log = Log[Entry](tmp_path / "log.jsonl", Entry, writer)
    log.load()
    await log.append(*(Entry("one", f"version {n}") for n in range(SPARE_LINES)))
    assert not log.wasteful(1)
    await log.append(*(Entry("one", f"version {n}") for n in range(10)))
    assert log.wasteful(1)
    await log.compact()
    assert not log.wasteful(1)
    assert list(Log[Entry](log.path, Entry, writer).load().records.values()) == [
        Entry("one", "version 9")
    ]
    await writer.close()
