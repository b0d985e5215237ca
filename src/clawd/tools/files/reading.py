"""A part of a text file with numbers before its lines, or what there is to say of another one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from clawd.errors import Invalid
from clawd.tools.files.ground import Ground, Opened
from clawd.tools.files.kinds import LOOKED_AT, binary_kind
from clawd.tools.files.refusals import shown

MAX_READ = 16 * 2**20
"""Bytes of a file of which parts are shown; of a larger one only the beginning."""
MAX_SHOWN = 64 * 1024
"""Characters that one call shows."""
MAX_LINE = 4000
"""Characters of one line that are shown."""
_PIECE = 1 << 16
_HEAD = 32
_BEGINNING = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """Lines ``first`` to ``last`` of ``lines`` (-1 unknown) of a file, numbered; ``said`` of it.

    ``source`` is where the text comes from, "" for inside; ``kind`` what a file that is no text is.
    """

    said: str
    text: str
    size: int
    source: str
    first: int = 0
    last: int = 0
    lines: int = -1
    kind: str = ""


def read_part(ground: Ground, path: str, offset: int, limit: int) -> Part:
    """``limit`` lines from line ``offset``, which counts from 1; fewer when they are long."""
    with ground.reading(path) as file:
        size = file.status.st_size
        data = _read(file.descriptor, MAX_READ if size <= MAX_READ else LOOKED_AT)
        if kind := binary_kind(data[:LOOKED_AT]):
            head = data[:_HEAD].hex(" ")
            said = f"{shown(path)}: binary ({kind}), {size:,} bytes; the first: {head}"
            return Part(said, "", size, file.source, kind=kind)
        if size > MAX_READ:
            said = (
                f"{shown(path)}: text of {size:,} bytes, too large to be read in parts "
                f"(the limit is {MAX_READ:,}); it begins:"
            )
            text = data[:_BEGINNING].decode(errors="replace")
            return Part(said, text, size, file.source, kind="large text")
        return _lines(file, data, offset, limit)


def _lines(file: Opened, data: bytes, offset: int, limit: int) -> Part:
    path, total = shown(file.path), data.count(b"\n") + (data[-1:] not in (b"", b"\n"))
    if not data:
        return Part(f"{path}: empty", "", 0, file.source, lines=0)
    if offset > total:
        raise Invalid(
            "past_the_end",
            f"{path} has {total} lines, line {offset} is past its end",
            hint=f"an offset from 1 to {total}",
        )
    lines: list[str] = []
    notes: set[str] = set()
    room = MAX_SHOWN
    for raw, length in _pieces(data, _start_of(data, offset), limit):
        line = raw.decode(errors="replace")
        if "\ufffd" in line and not _is_utf8(raw, whole=len(raw) == length):
            notes.add("what is not UTF-8 is shown as \ufffd")
        if line.endswith("\r"):
            line = line[:-1]
            notes.add("lines end with CRLF")
        if len(line) > MAX_LINE or len(raw) < length:
            line = f"{line[:MAX_LINE]}… [clawd: the line has {length:,} bytes]"
        if lines and len(line) > room:
            break
        room -= len(line) + 8
        lines.append(f"{offset + len(lines)}\t{line}")
    last = offset + len(lines) - 1
    said = f"{path}: lines {offset} to {last} of {total}, {len(data):,} bytes"
    said = "; ".join([said, *sorted(notes)])
    if last < total:
        said += f"; read on with offset {last + 1}"
    return Part(said, "\n".join(lines), len(data), file.source, offset, last, total)


def _pieces(data: bytes, at: int, limit: int) -> Iterator[tuple[bytes, int]]:
    """Lines from a position on, each with its length: of a very long one only the beginning."""
    while limit > 0 and at < len(data):
        found = data[at : at + _PIECE].split(b"\n", limit)
        rest = found.pop()
        for line in found:
            yield line, len(line)
        limit -= len(found)
        at += sum(map(len, found)) + len(found)
        if not found or at + len(rest) == len(data):
            # One line is longer than a piece, or the last one has no end.
            end = data.find(b"\n", at)
            end = len(data) if end < 0 else end
            if limit > 0 and at < len(data):
                # No character has more than four bytes.
                yield data[at : min(end, at + 4 * MAX_LINE + 4)], end - at
            limit, at = limit - 1, end + 1


def _start_of(data: bytes, line: int) -> int:
    """Where a line begins that is there; counted by pieces, for a file may have a million."""
    left, at = line - 1, 0
    while left:
        found = data.count(b"\n", at, at + _PIECE)
        if found < left:
            left, at = left - found, at + _PIECE
            continue
        for _ in range(left):
            at = data.find(b"\n", at) + 1
        left = 0
    return at


def _is_utf8(raw: bytes, *, whole: bool) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError as failure:
        return not whole and failure.start > len(raw) - 4
    return True


def _read(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(descriptor, min(limit, 2**20))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def read_whole(file: Opened, limit: int) -> bytes:
    """All bytes of the file, which has at most ``limit``."""
    return _read(file.descriptor, limit)
