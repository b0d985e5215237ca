"""The log: what is acknowledged is there afterwards, and the last line for an id wins."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawd.errors import Invalid, StorageError
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer


class Note(msgspec.Struct, frozen=True, rename="camel"):
    """A record as the owners of logs have them."""

    id: str
    text: str = ""
    read_by: Any = None


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """One kind of a union."""

    id: str


class Shut(msgspec.Struct, frozen=True, tag="shut"):
    """The other."""

    id: str
    why: str


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    """A writer that runs for the length of a test."""
    writer = Writer()
    writer.start()
    yield writer
    await writer.close()


@pytest.fixture
def log(tmp_path: Path, writer: Writer) -> Log[Note]:
    """A log that has no file yet."""
    return Log(tmp_path / "notes.jsonl", Note, writer)


async def test_what_is_appended_loads_again(log: Log[Note]) -> None:
    """Records come back in order of first appearance, changed ones in their last form."""
    await log.append(Note("b", "1"), Note("a", "2"))
    await log.append(Note("b", "3\u2028\u0085\r\n{}"))
    loaded = log.load()
    assert list(loaded.records.values()) == [Note("b", "3\u2028\u0085\r\n{}"), Note("a", "2")]
    assert (loaded.lines, loaded.superseded, loaded.problems) == (3, 1, [])
    assert loaded.bytes == log.path.stat().st_size
    assert log.path.stat().st_mode & 0o777 == 0o600


async def test_missing_file_is_an_empty_log(log: Log[Note]) -> None:
    """Loading what is not there yet gives nothing and makes nothing."""
    assert log.load().records == {}
    assert not log.path.exists()


async def test_union_of_tagged_records(tmp_path: Path, writer: Writer) -> None:
    """One file may hold several kinds; for an id the last line wins, of whatever kind."""
    log: Log[Opened | Shut] = Log(tmp_path / "doors.jsonl", Opened | Shut, writer)
    await log.append(Opened("front"), Opened("back"), Shut("front", "wind"))
    assert log.load().records == {"front": Shut("front", "wind"), "back": Opened("back")}


@pytest.mark.parametrize(
    "record",
    [Note("a", "\ud800"), Note(""), Note("a", 5), Note("a", "", object()), Note(7)],  # type: ignore[arg-type]
)
async def test_record_that_would_not_load_is_refused(log: Log[Note], record: Note) -> None:
    """A record that could not be read again is refused before anything is written."""
    with pytest.raises(Invalid) as refusal:
        await log.append(Note("good"), record)
    assert refusal.value.code == "invalid_record"
    assert str(log.path) in refusal.value.message
    assert not log.path.exists()


async def test_too_long_record_is_refused(tmp_path: Path, writer: Writer) -> None:
    """A line over the limit is refused with both figures, and nothing is written."""
    log = Log(tmp_path / "notes.jsonl", Note, writer, max_line_bytes=100)
    with pytest.raises(StorageError) as refusal:
        await log.append(Note("a"), Note("b", "x" * 100))
    assert refusal.value.code == "line_too_large"
    assert "100" in refusal.value.message
    assert not log.path.exists()


async def test_unknown_fields_survive_compaction(log: Log[Note]) -> None:
    """Compaction keeps the line as it stands, with fields of a later version."""
    log.path.write_text(
        '{"id":"a","v":1}\n{"id":"b","later":{"x":[1]}}\n{"id":"a","text":"2","v":2}\n'
    )
    before = log.path.stat().st_size
    assert await log.compact() == (before, log.path.stat().st_size)
    assert log.path.read_text() == '{"id":"a","text":"2","v":2}\n{"id":"b","later":{"x":[1]}}\n'
    assert log.path.stat().st_mode & 0o777 == 0o600


async def test_compaction_keeps_what_it_is_told(log: Log[Note]) -> None:
    """Only the ids that are asked for stay, and the log goes on afterwards."""
    await log.append(*(Note(str(n), "x") for n in range(10)))
    await log.compact(lambda key: int(key) % 2 == 0)
    await log.append(Note("10"))
    assert list(log.load().records) == ["0", "2", "4", "6", "8", "10"]


async def test_lines_appended_during_compaction_stay(log: Log[Note]) -> None:
    """Whatever order appends and compactions reach the thread in, no line is lost."""
    async with asyncio.TaskGroup() as group:
        for n in range(200):
            group.create_task(log.append(Note(f"n{n}")))
            if n % 20 == 0:
                group.create_task(log.compact())
    assert sorted(log.load().records) == sorted(f"n{n}" for n in range(200))


async def test_failed_compaction_leaves_the_file(log: Log[Note]) -> None:
    """An error in the middle of a compaction reaches the caller; file and folder stay clean."""
    await log.append(Note("a"), Note("b"))

    def fail(key: str) -> bool:
        raise LookupError(key)

    with pytest.raises(LookupError):
        await log.compact(fail)
    assert list(log.load().records) == ["a", "b"]
    assert os.listdir(log.path.parent) == ["notes.jsonl"]
    await log.append(Note("c"))
    assert len(log.load().records) == 3


async def test_compaction_loses_no_damaged_line(log: Log[Note]) -> None:
    """What compaction cannot read stays in the file, for the next load to set aside."""
    log.path.write_bytes(b'{"id":"a"}\nrubbish\n{"id":"a","text":"2"}{"id":"b"}\n{"id":"to')
    await log.compact()
    assert log.path.read_bytes() == b'{"id":"a","text":"2"}\nrubbish\n{"id":"b"}\n{"id":"to\n'
    loaded = log.load()
    assert loaded.records == {"a": Note("a", "2"), "b": Note("b")}
    assert len(loaded.problems) == 2


async def test_hundred_thousand_lines_load_whole(log: Log[Note]) -> None:
    """A log of many pieces loads the same lines as the standard library reads."""
    lines = [
        json.dumps({"id": f"n{n % 90_000}", "text": "é" * (n % 7), "n": n}) for n in range(100_000)
    ]
    log.path.write_text("\n".join(lines) + "\n")
    loaded = log.load()
    assert (len(loaded.records), loaded.lines, loaded.superseded) == (90_000, 100_000, 10_000)
    assert loaded.problems == []
    assert loaded.records["n3"].text == json.loads(lines[90_003])["text"]
