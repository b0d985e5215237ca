"""What the system refused, said as a ``StorageError``: place, errno and mend."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from clawd.errors import StorageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that may spare a smaller write."""

_MENDS = {
    errno.ENOENT: "its folder is gone; put the folder back",
    errno.ENOTDIR: "its folder is not a folder; put the folder back",
    errno.EISDIR: "it is a folder; put a regular file in its place, or remove it",
    errno.ELOOP: "it is a link; put a regular file in its place, or remove it",
    errno.EACCES: "give the daemon's user the right to write there",
    errno.EPERM: "give the daemon's user the right to write there",
    errno.EROFS: "the file system is read-only; mount it for writing",
    errno.ENXIO: "it is a pipe; put a regular file in its place, or remove it",
    errno.EIO: "the disk failed; look at the system's log",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
}


def storage_error(path: str | os.PathLike[str], failure: OSError) -> StorageError:
    """The error for a call about ``path``; says how many bytes are free when the disk is full."""
    place = os.fspath(path)
    number = failure.errno or 0
    name = errno.errorcode.get(number, "unknown")
    text = f"{place}: {(failure.strerror or str(failure)).lower()} (errno {number} {name})"
    if number not in FULL:
        hint = _MENDS.get(number, "")
        return StorageError("storage_error", text, hint=hint, path=place, errno=number)
    free = free_bytes(os.path.dirname(place))
    return StorageError(
        "storage_full",
        f"{text}; {free} bytes are free",
        hint="free some space, then try again",
        path=place,
        errno=number,
        free=free,
    )


def free_bytes(folder: str) -> int:
    """Bytes that this user may still write on the file system of ``folder``; -1 when unknown."""
    try:
        state = os.statvfs(folder or ".")
    except OSError:
        return -1
    return state.f_bavail * state.f_frsize


def check_length(place: str | Path, data: bytes, limit: int) -> None:
    """``StorageError`` when one of these lines, its LF included, has more than ``limit`` bytes."""
    if len(data) <= limit or (longest := max(map(len, data.split(b"\n"))) + 1) <= limit:
        return
    raise StorageError(
        "line_too_large",
        f"{place}: a record of {longest} bytes is longer than the {limit} allowed",
        hint="make it shorter",
        path=str(place),
        limit=limit,
        value=longest,
        scope="one line",
        retryable=False,
    )
