"""Checksums beside the logs: a line that changed is known, and nothing else is ever accused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawd.upkeep.sums import Changed, compare, extend, shorten, sums_of

LINES = [
    json.dumps({"id": f"msg-{n:02d}", "content": f"content of é {n}"}).encode() + b"\n"
    for n in range(20)
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of twenty lines whose checksums were taken."""
    (tmp_path / "state").mkdir()
    path = tmp_path / "b" / "session_messages.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(LINES))
    extend(tmp_path / "state", [path])
    return path


def sums(log: Path) -> Path:
    """The file with its checksums."""
    return sums_of(log.parent.parent / "state", log)


def rewrite(log: Path, data: bytes) -> None:
    """Change the content of the same file."""
    with log.open("r+b") as file:
        file.truncate(0)
        file.write(data)


def test_a_flip_at_each_byte_is_found_in_its_line(log: Path) -> None:
    """R04, F9: every single one, with line and offset, also where the line still parses."""
    data = b"".join(LINES)
    starts = [sum(map(len, LINES[:n])) for n in range(20)]
    owner = [n for n, line in enumerate(LINES) for _ in line]
    for at in range(len(data)):
        rewrite(log, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = compare(log, sums(log))
        if at == len(data) - 1:
            continue  # the end of the last line: the log says that it is incomplete
        assert Changed(owner[at] + 1, starts[owner[at]]) in found
        assert len(found) <= 2


def test_a_line_too_many_or_too_few_is_found_and_shifts_nothing(log: Path) -> None:
    """The others are not accused."""
    for n in (1, 7, 18):
        rewrite(log, b"".join(LINES[:n] + LINES[n + 1 :]))
        assert [c.line for c in compare(log, sums(log))] == [n + 1]
        new = [b'{"id":"new"}\n', b'{"id":"newer"}\n']
        rewrite(log, b"".join([*LINES[:n], *new, *LINES[n:]]))
        assert [c.line for c in compare(log, sums(log))] == [n + 1, n + 2]
    rewrite(log, b"".join(LINES[:17]))
    assert compare(log, sums(log)) == [Changed(18, log.stat().st_size)]


def test_what_is_appended_is_no_damage(log: Path) -> None:
    """New lines are taken with the next look, a torn one when it is whole."""
    for n in range(5):
        with log.open("ab") as file:
            file.write(LINES[n] + b'{"id":"torn')
        assert compare(log, sums(log)) == []
        extend(log.parent.parent / "state", [log])
        with log.open("ab") as file:
            file.write(b'"}\n')
        assert compare(log, sums(log)) == []
        extend(log.parent.parent / "state", [log])
        assert compare(log, sums(log)) == []
    size = sums(log).stat().st_size
    extend(log.parent.parent / "state", [log])
    assert sums(log).stat().st_size == size == 16 + 8 * 30


def test_a_log_that_was_replaced_begins_anew(log: Path) -> None:
    """Compaction, a mend, an editor's save; also when the number of the old file came back."""
    fresh = log.with_name("fresh")
    fresh.write_bytes(b"".join(reversed(LINES)))
    fresh.replace(log)
    assert compare(log, sums(log)) == []
    extend(log.parent.parent / "state", [log])
    rewrite(log, b"".join(LINES[3:]))
    assert compare(log, sums(log)) == []
    extend(log.parent.parent / "state", [log])
    data = b"".join(LINES[3:]).replace(b"content of \\u00e9 7", b"content of \\u00e9 8")
    rewrite(log, data)
    assert [c.line for c in compare(log, sums(log))] == [5]


@pytest.mark.parametrize("cut", [1, 10, len(LINES[-1]), len(LINES[-1]) + 5, 200])
@pytest.mark.parametrize(
    "new", [b'{"id":"new"}\n', b'{"id":"%s"}\n' % (b"n" * 90), LINES[-1][:-3] + b'!"}\n']
)
def test_a_torn_tail_that_was_cut_off_accuses_nobody(log: Path, cut: int, new: bytes) -> None:
    """M21: the end is lost and mended in place, new lines follow; the lines before stay known."""
    state = log.parent.parent / "state"
    whole = b"".join(LINES)[:-cut]
    whole = whole[: whole.rfind(b"\n") + 1]
    rewrite(log, whole)
    shorten(log, sums(log))
    assert compare(log, sums(log)) == []
    for _ in range(3):
        with log.open("ab") as file:
            file.write(new)
        assert compare(log, sums(log)) == []
    extend(state, [log])
    assert compare(log, sums(log)) == []
    data = log.read_bytes()
    rewrite(log, data.replace(b"\\u00e9 3", b"\\u00e9 4"))
    assert [c.line for c in compare(log, sums(log))] == [4]
    rewrite(log, data[:-4] + b"?" + data[-3:])
    assert [c.line for c in compare(log, sums(log))] == [len(data.splitlines())]


@pytest.mark.parametrize("lost", [1, 4])
def test_a_tail_that_was_cut_unseen_is_known_by_its_lengths(log: Path, lost: int) -> None:
    """Nobody told of the cut: the next look goes on where the lines still agree."""
    state = log.parent.parent / "state"
    rewrite(log, b"".join(LINES[:-lost]) + b'{"id":"a longer line than the one that was there"}\n')
    extend(state, [log])
    assert compare(log, sums(log)) == []
    data = log.read_bytes()
    rewrite(log, data.replace(b"\\u00e9 3", b"\\u00e9 4"))
    extend(state, [log])
    assert [c.line for c in compare(log, sums(log))] == [4]


def test_a_line_that_was_changed_in_its_length_stays_accused(log: Path) -> None:
    """Also after further looks; the lines behind it are not."""
    state = log.parent.parent / "state"
    rewrite(log, b"".join([*LINES[:5], b'{"id":"msg-05"}\n', *LINES[6:]]))
    for n in range(3):
        with log.open("ab") as file:
            file.write(b'{"id":"new-%d"}\n' % n)
        extend(state, [log])
        assert [c.line for c in compare(log, sums(log))] == [6]


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"rubbish", b"clawdsum"])
def test_damaged_checksums_accuse_nobody(log: Path, damage: bytes) -> None:
    """They are a help, not a promise; the next look takes them anew."""
    whole = sums(log).read_bytes()
    for data in (damage, whole[:21], whole + b"\0" * 20, whole[:48] + b"\0" * 64):
        sums(log).write_bytes(data)
        assert compare(log, sums(log)) == []
        extend(log.parent.parent / "state", [log])
        assert compare(log, sums(log)) == []
        assert sums(log).read_bytes().startswith(whole)


def test_what_cannot_be_read_is_passed_over(log: Path, tmp_path: Path) -> None:
    """A folder, a link, a missing file, no place for the checksums: nothing raises."""
    folder = tmp_path / "folder.jsonl"
    folder.mkdir()
    extend(tmp_path / "state", [folder, tmp_path / "missing.jsonl", log])
    (tmp_path / "other").mkdir()
    (tmp_path / "other/sums").write_text("in the way")
    extend(tmp_path / "other", [log])
    assert compare(log, tmp_path / "other/sums/x") == []
