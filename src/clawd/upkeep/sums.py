"""Checksums of the lines of the logs, in a folder of their own: the logs keep their plain form.

The daemon adds those of new lines now and then and when it stops, off the loop and after the
fact: a line that is written pays nothing. A line that changed later is then known by its number,
also where it still parses. A log that was replaced (compacted, mended, saved by an editor) begins
anew; one whose end was cut off in place goes on where it still agrees.
"""

from __future__ import annotations

import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from clawd.errors import StorageError
from clawd.storage.files import make_private_folder
from clawd.storage.lines import open_log

_ENTRY = struct.Struct("<II")  # CRC-32 of a line, and its length, both with its LF
_HEAD = struct.Struct("<8sQ")  # what the file is, and the inode of its log
_MAGIC = b"clawdsum"
_CHUNK = 2**20
_REPLACED = 8
"""More lines than this that differ, and one in ten: another file has the number of the old one."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A line that is not the one that was written, counted from 1, and its offset in bytes.

    At the end of the file: lines that stood there are gone.
    """

    line: int
    offset: int


def sums_of(state: Path, log: Path) -> Path:
    """Where the checksums of a log are: a file by the name of its folder and itself."""
    name = log.name if log.parent == state else f"{log.parent.name}.{log.name}"
    return state / "sums" / f"{name}.sums"


def extend(state: Path, logs: Iterable[Path]) -> None:
    """Add the checksums of the lines that are new (blocking). What cannot be read is passed over.

    They are a help, not a promise: nothing here raises, and nothing is synced.
    """
    with suppress(StorageError):
        make_private_folder(state / "sums")
    for log in logs:
        with suppress(OSError, StorageError):
            _extend(log, sums_of(state, log))


def shorten(log: Path, sums: Path) -> None:
    """Forget the lines behind the end of a log (blocking): a mend has just cut them off.

    Before anything new is appended. Raises nothing, as ``extend``.
    """
    with suppress(OSError, StorageError):
        descriptor = open_log(log)
        if descriptor is None:
            return
        try:
            facts = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        known = _known(sums, facts.st_ino)
        ends = list(accumulate(length for _, length in known))
        kept = bisect_right(ends, facts.st_size)
        if kept < len(known):
            _append(sums, kept, b"")


def compare(log: Path, sums: Path) -> list[Changed]:
    """The lines that changed since their checksums were taken; none when that cannot be told."""
    descriptor = open_log(log)
    if descriptor is None:
        return []
    try:
        known = _known(sums, os.fstat(descriptor).st_ino)
        changed = list(_differing(descriptor, known))
    finally:
        os.close(descriptor)
    if len(changed) > max(_REPLACED, len(known) // 10):
        return []
    return changed


def _extend(log: Path, sums: Path) -> None:
    descriptor = open_log(log)
    if descriptor is None:
        return
    try:
        facts = os.fstat(descriptor)
        known = _known(sums, facts.st_ino)
        covered = sum(length for _, length in known)
        if _another(descriptor, known, covered):
            known, covered = [], 0
        elif not _ends_a_line(descriptor, known, covered):
            kept, covered = _agreeing(descriptor, known)
            known = known[:kept]
        elif covered == facts.st_size:
            return
        entries = [_ENTRY.pack(zlib.crc32(line), len(line)) for line in _lines(descriptor, covered)]
        if not known:
            entries.insert(0, _HEAD.pack(_MAGIC, facts.st_ino))
        _append(sums, len(known), b"".join(entries))
    finally:
        os.close(descriptor)


def _another(descriptor: int, known: list[tuple[int, int]], covered: int) -> bool:
    """Whether neither the first nor the last line is the known one: a file with an old number."""
    if not known:
        return False
    (first, length), (last, last_length) = known[0], known[-1]
    return (
        zlib.crc32(os.pread(descriptor, length, 0)) != first
        and zlib.crc32(os.pread(descriptor, last_length, covered - last_length)) != last
    )


def _ends_a_line(descriptor: int, known: list[tuple[int, int]], covered: int) -> bool:
    """Whether the last known line still stands between two ends of lines, changed or not."""
    if not known:
        return True
    length = known[-1][1]
    before = covered - length - 1
    around = os.pread(descriptor, length + (before >= 0), max(before, 0))
    wanted = b"\n" if before >= 0 else b""
    line = around.removeprefix(wanted)
    return around.startswith(wanted) and len(line) == length and line.find(b"\n") == length - 1


def _agreeing(descriptor: int, known: list[tuple[int, int]]) -> tuple[int, int]:
    """How many of the known lines count on, and where in the file the last of these ends.

    Those behind the last that is found anywhere were cut off; one before it was changed.
    """
    ends: dict[tuple[int, int], int] = {}
    position = 0
    for line in _lines(descriptor, 0):
        position += len(line)
        ends[zlib.crc32(line), len(line)] = position
    for kept in range(len(known), 0, -1):
        if known[kept - 1] in ends:
            return kept, ends[known[kept - 1]]
    return 0, 0


def _append(sums: Path, known: int, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(sums, flags, 0o600)
    try:
        # Behind the last good entry, whatever a crash left there.
        start = _HEAD.size + known * _ENTRY.size if known else 0
        os.ftruncate(descriptor, start)
        os.pwrite(descriptor, data, start)
    finally:
        os.close(descriptor)


def _known(sums: Path, inode: int) -> list[tuple[int, int]]:
    """The entries for the log with this inode, up to the first that cannot be one."""
    try:
        descriptor = open_log(sums)
        if descriptor is None:
            return []
        with open(descriptor, "rb") as stream:
            data = stream.read()
    except (OSError, StorageError):
        return []
    if len(data) < _HEAD.size or _HEAD.unpack_from(data) != (_MAGIC, inode):
        return []
    whole = len(data) - (len(data) - _HEAD.size) % _ENTRY.size
    entries: list[tuple[int, int]] = []
    for entry in _ENTRY.iter_unpack(data[_HEAD.size : whole]):
        if not entry[1]:
            break  # a crash left zeros
        entries.append(entry)
    return entries


def _differing(descriptor: int, known: list[tuple[int, int]]) -> Iterator[Changed]:
    """The lines that are not as they were; some too many or too few do not shift the others."""
    offsets: list[int] = [0]
    found: list[int] = []
    for line in _lines(descriptor, 0):
        found.append(zlib.crc32(line))
        offsets.append(offsets[-1] + len(line))
    here = there = 0
    while here < len(found) and there < len(known):
        if found[here] == known[there][0]:
            here, there = here + 1, there + 1
            continue
        more, fewer = _again(found, known, here, there)
        # At least the line itself, where those that stood before it are gone.
        for number in range(here, here + max(more, 1)):
            yield Changed(number + 1, offsets[number])
        here, there = here + more, there + fewer
    if there < len(known):
        yield Changed(len(found) + 1, offsets[-1])


def _again(
    found: list[int], known: list[tuple[int, int]], here: int, there: int
) -> tuple[int, int]:
    """How many lines further, of those found and those known, the two agree again."""
    for distance in range(1, 2 * _REPLACED):
        for more in range(distance, -1, -1):
            at, other = here + more, there + distance - more
            if at < len(found) and other < len(known) and found[at] == known[other][0]:
                return more, distance - more
    return 1, 1


def _lines(descriptor: int, offset: int) -> Iterator[bytes]:
    """The whole lines from an offset on."""
    held = b""
    while chunk := os.pread(descriptor, _CHUNK, offset):
        offset += len(chunk)
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
