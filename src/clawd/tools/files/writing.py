"""Writing a file whole, and replacing a passage of one."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from clawd.errors import Invalid, NotFound
from clawd.storage.confine import READ, Spot
from clawd.storage.placing import place_file
from clawd.storage.provenance import clear, mark, source_of
from clawd.tools.files.diff import unified
from clawd.tools.files.ground import Ground
from clawd.tools.files.kinds import LOOKED_AT, binary_kind
from clawd.tools.files.refusals import check_regular, shown, too_large

MAX_WRITTEN = 8 * 2**20
"""Bytes of a file that is written or edited."""
_LISTED = 10
_LOOKED_THROUGH = 2**20


@dataclass(frozen=True, slots=True)
class Written:
    """What was done: ``made`` when there was no such file; ``unmarked`` when a mark did not hold.

    ``source`` is where its text comes from, "" for inside.
    """

    size: int
    made: bool
    source: str
    unmarked: bool
    diff: str = ""
    replaced: int = 0


def write_whole(ground: Ground, path: str, content: str, source: str) -> Written:
    """Put a text in place of a file, or make one; ``source`` as of the turn that writes."""
    data = encoded(content, "content")
    check_size(path, len(data))
    with ground.changing_at(path, make=True) as spot:
        status = _status(spot)
        if status is not None:
            check_regular(path, status)
        marked = _place(ground, spot, data, status, source)
    return Written(len(data), status is None, source, unmarked=not marked)


def edit(ground: Ground, path: str, old: str, new: str, source: str, *, every: bool) -> Written:
    """Replace a passage that is there once, or every one of them."""
    encoded(old, "old")
    encoded(new, "new")
    if not old:
        raise Invalid("invalid_edit", "old is empty", hint="write_file writes a whole file")
    if old == new:
        raise Invalid("invalid_edit", "old and new are the same", hint="give what is to change")
    with ground.reading(path):
        # Refused as reading it would be, before its folder is opened for changes.
        pass
    with ground.changing_at(path) as spot:
        data, status, was = _present(ground, path, spot)
        text = data.decode(errors="surrogateescape")
        if old not in text and "\r\n" in text:
            # Read without their CR, the lines of such a file come back without it.
            old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
        count = _count(path, text, old, every=every)
        grows = len(new.encode()) - len(old.encode())
        check_size(path, len(data) + count * grows)
        result = text.replace(old, new).encode(errors="surrogateescape")
        source = source or was
        marked = _place(ground, spot, result, status, source)
    diff = unified(text, old, new)
    return Written(len(result), False, source, not marked, diff, count)


def encoded(text: str, what: str) -> bytes:
    """The text as UTF-8; ``Invalid`` for one that is none."""
    try:
        return text.encode()
    except UnicodeEncodeError as failure:
        raise Invalid(
            "invalid_text",
            f"{what} has half a character (a lone surrogate) at {failure.start}",
            hint="send whole characters",
        ) from None


def check_size(path: str, size: int) -> None:
    """``Invalid`` for more than may be written."""
    if size > MAX_WRITTEN:
        raise too_large(path, size, MAX_WRITTEN, "write it in several files")


def _status(spot: Spot) -> os.stat_result | None:
    try:
        return os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _present(ground: Ground, path: str, spot: Spot) -> tuple[bytes, os.stat_result, str]:
    """What the file holds now, its state and where its text comes from."""
    descriptor = os.open(spot.name, READ | os.O_NOFOLLOW, dir_fd=spot.folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        check_regular(path, status)
        check_size(path, status.st_size)
        data = file.read(MAX_WRITTEN + 1)
        source = source_of(ground.root, descriptor)
    check_size(path, len(data))
    if kind := binary_kind(data[:LOOKED_AT]):
        raise Invalid("binary_file", f"{shown(path)} is binary ({kind}): it cannot be edited")
    return data, status, source


def _place(
    ground: Ground, spot: Spot, data: bytes, before: os.stat_result | None, source: str
) -> bool:
    """Write it; whether a mark that it needs was kept."""
    mode = stat.S_IMODE(before.st_mode) & 0o777 if before is not None else 0o600
    kept = True

    def finish(descriptor: int) -> None:
        nonlocal kept
        if source:
            kept = mark(ground.root, descriptor, source)
        else:
            clear(ground.root, descriptor)

    place_file(spot, data, mode, finish)
    return kept


def _count(path: str, text: str, old: str, *, every: bool) -> int:
    count = text.count(old)
    if not count:
        near = _similar(text, old)
        raise NotFound(
            "no_match",
            f"old is not in {shown(path)}",
            hint=near or "read_file shows what is there; blanks and line ends count",
        )
    if count > 1 and not every:
        at, lines = -1, dict[str, None]()
        for _ in range(min(count, _LISTED)):
            at = text.find(old, at + 1)
            lines[str(text.count("\n", 0, at) + 1)] = None
        more = ", …" if count > _LISTED else ""
        raise Invalid(
            "not_unique",
            f"old is {count} times in {shown(path)} (lines {', '.join(lines)}{more})",
            hint="add lines around it until it is there once, or set replace_all",
        )
    return count


def _similar(text: str, old: str) -> str:
    """Where the same words stand with other blanks; "" for nowhere."""
    first = next((line.split() for line in old.splitlines() if line.strip()), [])
    if len(text) > _LOOKED_THROUGH:
        return ""
    for number, line in enumerate(text.split("\n"), 1):
        if first and line.split() == first:
            return f"line {number} has the same words with other blanks: copy it from read_file"
    return ""
