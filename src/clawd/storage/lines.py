"""Reading a log in pieces of whole lines, split on LF alone, in bounded memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clawd.errors import StorageError
from clawd.storage.failures import storage_error

PIECE_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the file from ``offset``: whole lines, or one that is too long to be held.

    ``data`` is ``None`` for a line over the limit. ``ended`` is false only for what stands after
    the last LF.
    """

    offset: int
    length: int
    data: bytes | None
    ended: bool = True


def open_log(path: Path) -> int | None:
    """A descriptor for reading a regular file, ``None`` when there is none; never waits."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise storage_error(path, failure) from failure
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(
            "storage_error",
            f"{path}: is not a regular file",
            hint="put a regular file in its place, or remove it",
            path=str(path),
        )
    return descriptor


def pieces(descriptor: int, limit: int) -> Iterator[Piece]:
    """The file from its start, each line of at most ``limit`` bytes without its LF."""
    size = min(limit, PIECE_BYTES)  # so that only the first line of a piece can be too long
    offset = position = 0
    held = b""
    dropped = 0  # bytes of the present line that were let go
    while chunk := os.pread(descriptor, size, position):
        position += len(chunk)
        held += chunk
        first = held.find(b"\n")
        if dropped or (len(held) if first < 0 else first) > limit:
            if first < 0:
                dropped += len(held)
                held = b""
                continue
            yield Piece(offset, dropped + first + 1, None)
            offset += dropped + first + 1
            held = held[first + 1 :]
            dropped = 0
        end = held.rfind(b"\n") + 1
        if end:
            yield Piece(offset, end, held[:end])
            offset += end
            held = held[end:]
    if dropped:
        yield Piece(offset, dropped + len(held), None, ended=False)
    elif held:
        yield Piece(offset, len(held), held, ended=False)


def lines_with(path: Path, needle: bytes, limit: int) -> Iterator[bytes]:
    """The lines of a log (BLOCKS) that contain these bytes; one over ``limit`` is passed over."""
    descriptor = open_log(path)
    if descriptor is None:
        return
    try:
        for piece in pieces(descriptor, limit):
            if piece.data is not None and needle in piece.data:
                yield from (line for line in piece.data.split(b"\n") if needle in line)
    finally:
        os.close(descriptor)


def copy(descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    """These bytes of the file, in parts that fit into memory."""
    while length > 0:
        part = os.pread(descriptor, min(length, PIECE_BYTES), offset)
        if not part:
            return
        yield part
        offset += len(part)
        length -= len(part)
