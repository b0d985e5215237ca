"""Damage: whatever happened to a log, every whole record loads and nothing is thrown away."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawd.errors import StorageError
from clawd.storage.jsonl import Loaded, Log
from clawd.storage.writer import Writer


class Note(msgspec.Struct, frozen=True):
    """A record; ids differ in two places, so that one flipped bit never makes another's id."""

    id: str
    text: str = ""
    extra: Any = None


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log[Note]]:
    """A log that has no file yet."""
    writer = Writer()
    writer.start()
    yield Log(tmp_path / "notes.jsonl", Note, writer)
    await writer.close()


LINES = [b'{"id":"%02d-%02d","text":"\xc3\xa9 %d"}\n' % (n, n, n) for n in range(20)]
IDS = [f"{n:02d}-{n:02d}" for n in range(20)]


def aside(log: Log[Note], kind: str) -> list[Path]:
    """The files of that kind beside the log."""
    return sorted(log.path.parent.glob(f"{log.path.name}.{kind}*"))


def clear(log: Log[Note]) -> None:
    """Remove the log and all beside it."""
    for path in log.path.parent.iterdir():
        path.unlink()


async def test_torn_at_every_byte(log: Log[Note]) -> None:
    """Cut anywhere: the whole lines load, the rest is kept aside, and the log goes on."""
    data = b"".join(LINES)
    ends = [sum(map(len, LINES[: n + 1])) for n in range(20)]
    for cut in range(len(data) + 1):
        clear(log)
        log.path.write_bytes(data[:cut])
        loaded = log.load()
        whole = [name for name, end in zip(IDS, ends, strict=True) if end - 1 <= cut]
        assert list(loaded.records) == whole
        tail = b"" if cut + 1 in ends else data[max([0, *(e for e in ends if e <= cut)]) : cut]
        assert b"".join(path.read_bytes() for path in aside(log, "torn")) == tail
        assert [p.kept_in for p in loaded.problems] == aside(log, "torn")
        await log.append(Note("new"))
        again = log.load()
        assert list(again.records) == [*whole, "new"]
        assert again.problems == []


@pytest.mark.parametrize("change", [lambda b: b ^ 1, lambda _: 0, lambda _: 0xFF, lambda _: 10])
async def test_one_changed_byte_anywhere(log: Log[Note], change: Any) -> None:
    """R04: every other line loads, what was lost is told with its place, and told once."""
    await _damaged_everywhere(log, lambda data, at: bytes([change(data[at])]))


async def test_one_byte_gone_anywhere(log: Log[Note]) -> None:
    """R04: as above; where it was the LF, both lines are there."""
    await _damaged_everywhere(log, lambda _data, _at: b"")


async def test_one_line_end_too_many_anywhere(log: Log[Note]) -> None:
    """R04: a line that was broken in two costs that line alone."""
    await _damaged_everywhere(log, lambda data, at: b"\n" + data[at : at + 1])


async def _damaged_everywhere(log: Log[Note], becomes: Callable[[bytes, int], bytes]) -> None:
    data = b"".join(LINES)
    owner = [n for n, line in enumerate(LINES) for _ in line]
    starts = [data.index(line) for line in LINES]
    for at in range(len(data)):
        clear(log)
        log.path.write_bytes(data[:at] + becomes(data, at) + data[at + 1 :])
        loaded = log.load()
        assert set(IDS) - {IDS[owner[at]]} <= set(loaded.records)
        if IDS[owner[at]] not in loaded.records and len(loaded.records) < 20:
            start, number = starts[owner[at]], owner[at] + 1
            places = [p for p in loaded.problems if p.line in (number, number + 1)]
            assert any(start <= p.offset <= start + len(LINES[owner[at]]) for p in places)
        if data[at] == 10 and at < len(data) - 1:
            assert loaded.records.keys() == set(IDS)
        again = log.load()
        assert again.records == loaded.records
        assert again.problems == []


GOOD = b'{"id":"a"}\n'


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"rubbish", "is not JSON"),
        (b'{"id":"b","text":"x', "is not JSON"),
        (b"[1]", "got `array`"),
        (b"7", "got `int`"),
        (b"null", "got `null`"),
        (b'{"text":"b"}', "missing required field `id`"),
        (b'{"id":5}', "got `int`"),
        (b'{"id":""}', "empty id"),
        (b'{"id":"b","text":7}', "Expected `str`"),
        (b'{"id":"b\xff"}', "is not UTF-8"),
        (b'{"id":"b","later":"\xff"}', "is not UTF-8"),
        (b'{"id":"b"}\0', "NUL"),
        (b"\0" * 100, "NUL"),
        (b'{"id":"b","text":"\\ud800"}', "is not JSON"),
        (b'{"id":"b","extra":' + b"[" * 9999 + b"]" * 9999 + b"}", "nested too deeply"),
        (b'{"id":"b"}{"id":"c"', "is not JSON"),
        (b'{"id":"b"},{"id":"c"}', "is not JSON"),
        ('\x85{"id":"b"}'.encode(), "is not JSON"),
    ],
)
async def test_bad_line_in_the_middle(log: Log[Note], bad: bytes, reason: str) -> None:
    """It is told with place and reason, kept word for word beside the log, and taken out."""
    log.path.write_bytes(GOOD + bad + b'\n{"id":"z"}\n')
    loaded = log.load()
    assert list(loaded.records) == ["a", "z"]
    (problem,) = loaded.problems
    assert (problem.line, problem.offset) == (2, len(GOOD))
    assert reason in problem.reason
    (kept,) = aside(log, "rejected")
    assert problem.kept_in == kept
    assert str(log.path) in str(problem)
    entry = json.loads(kept.read_text())
    assert (entry["line"], entry["offset"], entry["reason"]) == (2, len(GOOD), problem.reason)
    assert entry["text"] == bad.decode("utf-8", "backslashreplace")
    assert log.path.read_bytes() == GOOD + b'{"id":"z"}\n'
    assert loaded.bytes == log.path.stat().st_size
    size = kept.stat().st_size
    assert log.load().problems == []
    assert kept.stat().st_size == size
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("between", [b"", b" ", b"  \t"])
async def test_fused_records_are_parted(log: Log[Note], between: bytes) -> None:
    """Two records on one line are both there, each with its own line afterwards."""
    log.path.write_bytes('{"id":"é"}'.encode() + between + b'{"id":"b"}\r\n{"id":"c"}\n')
    loaded = log.load()
    assert list(loaded.records) == ["é", "b", "c"]
    assert "2 records" in loaded.problems[0].reason
    assert log.path.read_bytes() == '{"id":"é"}\n{"id":"b"}\n{"id":"c"}\n'.encode()
    assert log.load().problems == []


async def test_fused_beside_broken_over_two_lines(log: Log[Note]) -> None:
    """As many records as lines is not enough: a record over two lines is not one a line."""
    log.path.write_bytes(b'{"id":"a"}{"id":"b"}\n{"id":\n"c"}\n{"id":"d"}\n')
    loaded = log.load()
    assert list(loaded.records) == ["a", "b", "d"]
    assert [problem.line for problem in loaded.problems] == [1, 2, 3]


@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbf{"id":"a"}\r\n\r\n  \n{"id":"b"}\r\n',
        b'{"id":"a"}\n\n\n{"id":"b"}',
        b'  {"id":"a"}  \n{"id":"b"}\r',
        '{"id":"a","text":"\u2028\u0085"}\n{"id":"b"}\n'.encode(),
    ],
)
async def test_harmless_forms_are_accepted(log: Log[Note], data: bytes) -> None:
    """BOM, CRLF, blank lines and a missing last LF are no damage."""
    log.path.write_bytes(data)
    loaded = log.load()
    assert list(loaded.records) == ["a", "b"]
    assert loaded.problems == []
    assert loaded.blank == sum(not line.strip() for line in data.split(b"\n")[:-1])
    await log.append(Note("c"))
    await log.compact()
    assert list(log.load().records) == ["a", "b", "c"]
    assert os.listdir(log.path.parent) == [log.path.name]


async def test_owner_may_refuse_a_record(log: Log[Note]) -> None:
    """A record that does not belong here goes aside, and does not replace the good one."""
    log.path.write_bytes(b'{"id":"a"}\n{"id":"a","text":"foreign"}\n')

    def check(note: Note) -> str | None:
        return "is for another" if note.text == "foreign" else None

    loaded = log.load(check=check)
    assert loaded.records == {"a": Note("a")}
    assert loaded.problems[0].reason == "is for another"
    assert log.path.read_bytes() == b'{"id":"a"}\n'


async def test_line_of_fifty_megabytes(log: Log[Note]) -> None:
    """It is set aside in full without being held in memory."""
    with log.path.open("wb") as file:
        file.write(GOOD + b'{"id":"b","text":"')
        for _ in range(50):
            file.write(b"x" * 2**20)
        file.write(b'"}\n{"id":"z"}\n')
    tracemalloc.start()
    loaded = log.load()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(loaded.records) == ["a", "z"]
    assert "longer than" in loaded.problems[0].reason
    assert peak < 20 * 2**20
    parts = [json.loads(line) for line in aside(log, "rejected")[0].read_bytes().splitlines()]
    text = "".join(part["text"] for part in parts)
    assert text == '{"id":"b","text":"' + "x" * 50 * 2**20 + '"}'
    assert [part["part"] for part in parts] == list(range(1, parts[0]["parts"] + 1))
    assert log.path.stat().st_size < 100


async def test_torn_line_of_five_megabytes(log: Log[Note]) -> None:
    """A torn tail over the limit is cut off and kept like a short one."""
    log.path.write_bytes(GOOD + b"x" * 5 * 2**20)
    loaded = log.load()
    assert list(loaded.records) == ["a"]
    assert log.path.read_bytes() == GOOD
    assert aside(log, "torn")[0].stat().st_size == 5 * 2**20


async def test_everything_at_once(log: Log[Note]) -> None:
    """Several bad lines, a fused one and a torn tail are mended together."""
    log.path.write_bytes(b'bad\n{"id":"a"}{"id":"b"}\n\n[]\n{"id":"c"}\n{"id":"d')
    loaded: Loaded[Note] = log.load()
    assert list(loaded.records) == ["a", "b", "c"]
    assert [problem.line for problem in loaded.problems] == [1, 2, 4, 6]
    assert len(aside(log, "rejected")[0].read_text().splitlines()) == 2
    assert aside(log, "torn")[0].read_bytes() == b'{"id":"d'
    assert log.load().problems == []


async def test_damage_that_cannot_be_mended_still_loads(
    log: Log[Note], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk refuses the mending, the rest loads all the same and the problem says so."""
    log.path.write_bytes(GOOD + b"bad\n" + b'{"id":"t')

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    loaded = log.load()
    monkeypatch.undo()
    assert list(loaded.records) == ["a"]
    assert all("left as it is" in problem.reason for problem in loaded.problems)
    await log.append(Note("n"))
    assert list(log.load().records) == ["a", "n"]


async def test_what_is_not_a_regular_file_is_refused(log: Log[Note]) -> None:
    """A pipe, a folder or a link in the log's place is refused at once, with its name."""
    os.mkfifo(log.path)
    with pytest.raises(StorageError, match=log.path.name):
        log.load()
    log.path.unlink()
    log.path.mkdir()
    with pytest.raises(StorageError, match="regular"):
        log.load()
    log.path.rmdir()
    log.path.symlink_to("/etc/hostname")
    with pytest.raises(StorageError, match=log.path.name):
        log.load()
