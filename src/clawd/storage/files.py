"""Files written whole, private folders, reading within a folder, and the lock of a home.

Everything here blocks: call it at start, from a thread, or on the writer's thread.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from clawd.errors import Invalid, Refused, StorageError
from clawd.storage.confine import open_within
from clawd.storage.failures import storage_error

_STALE_SECONDS = 3600.0
_WRITE_BYTES = 2**20
"""Pieces are written together from this size: a log is replaced line by line."""


def make_private_folder(path: Path) -> None:
    """Make the folder and its missing parents with mode 0700, on disk when this returns.

    A folder that is there stays as it is. ``StorageError`` when something else is there (a link
    to a folder too), or the system refuses.
    """
    if not path.parent.exists():
        make_private_folder(path.parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise StorageError(
                "storage_error",
                f"{path}: is there, but is not a folder",
                hint="move it away",
                path=str(path),
            ) from None
        return
    except OSError as failure:
        raise storage_error(path, failure) from failure
    try:
        sync_folder(path.parent)
    except OSError as failure:
        raise storage_error(path.parent, failure) from failure


def sync_folder(path: str | Path) -> None:
    """Bring the names in the folder to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int, *, data_only: bool = False) -> None:
    """Bring the file to disk; with ``data_only`` without what reading it does not need."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync leaves it in the drive's own cache there
    elif data_only:
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, however few the system takes at a time."""
    written = os.write(descriptor, data)
    if written == len(data):
        return
    rest = memoryview(data)[written:]
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def atomic_write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a whole file in place of ``path``: afterwards, and after any crash, the old or the new.

    ``StorageError`` when the system refuses; the old file is then untouched.
    """
    try:
        replace_file(path, (data,), mode)
    except OSError as failure:
        raise storage_error(path, failure) from failure


def replace_file(path: Path, chunks: Iterable[bytes], mode: int = 0o600) -> int:
    """As ``atomic_write`` from pieces; returns the number of bytes; raises ``OSError``."""
    _remove_stale(path)
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600)
    size = 0
    try:
        try:
            os.fchmod(descriptor, mode)
            held = bytearray()
            for chunk in chunks:
                held += chunk
                if len(held) >= _WRITE_BYTES:
                    write_all(descriptor, bytes(held))
                    size += len(held)
                    held.clear()
            if held:
                write_all(descriptor, bytes(held))
                size += len(held)
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return size


def _remove_stale(path: Path) -> None:
    """Remove what a killed process left of an earlier replacement of this file."""
    start, oldest = f".{path.name}.", time.time() - _STALE_SECONDS
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if not (entry.name.startswith(start) and entry.name.endswith(".tmp")):
                continue
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.path)
            except FileNotFoundError:
                continue


@dataclass(frozen=True, slots=True)
class Text:
    """A file's text; ``size`` is the whole file's in bytes, ``cut`` when only its start is here."""

    text: str
    size: int
    cut: bool


def read_text_within(root: Path, name: str, limit: int) -> Text | None:
    """The first ``limit`` bytes of the file ``name`` in the folder ``root``; ``None`` when missing.

    Cut at a character's border. ``Invalid``, with the mend, for what is not a regular UTF-8 file
    of this folder: folders, pipes, devices, sockets, links that lead out of it, and hard links to
    a file of another owner. Never waits for a writer; never reads more than ``limit`` bytes.
    """
    place = root / name
    try:
        descriptor = open_within(root, name)
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise Invalid(
            "unreadable_file",
            f"{place}: cannot be read ({(failure.strerror or str(failure)).lower()})",
            hint="put a readable regular file there, or remove it",
        ) from failure
    try:
        facts = os.fstat(descriptor)
        _check_regular(place, facts, root)
        data = _read_up_to(descriptor, limit)
    finally:
        os.close(descriptor)
    size = max(facts.st_size, len(data))
    cut = size > limit
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(data, final=not cut)
    except UnicodeDecodeError as failure:
        raise Invalid(
            "not_utf8",
            f"{place}: is not UTF-8 at byte {failure.start}",
            hint="save it as UTF-8",
            offset=failure.start,
        ) from None
    return Text(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"), size, cut)


def _check_regular(place: Path, facts: os.stat_result, root: Path) -> None:
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe, socket or device"
        raise Invalid(
            "not_a_file",
            f"{place}: is {kind}, not a regular file",
            hint="put a regular file there, or remove it",
        )
    # A second name is harmless on one's own file (backups by hard link); on another's it may be
    # a way to show what this folder's owner could not put here by copying.
    if facts.st_nlink > 1 and facts.st_uid != os.stat(root).st_uid:
        raise Invalid(
            "foreign_link",
            f"{place}: is a hard link to a file of another owner",
            hint="put a copy there",
        )


def _read_up_to(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(descriptor, min(limit, 2**20))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


class HomeLock:
    """The right to be the one daemon of a home: held until released, or the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock and write this process's id; ``Refused`` at once when another holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        while self._descriptor < 0:
            try:
                descriptor = os.open(self._path, flags, 0o600)
            except OSError as failure:
                raise storage_error(self._path, failure) from failure
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise StorageError(
                        "storage_error",
                        f"{self._path}: is not a regular file",
                        hint="remove it",
                        path=str(self._path),
                    )
                self._lock(descriptor)
                if self._is_current(descriptor):
                    self._descriptor = descriptor
            finally:
                if self._descriptor != descriptor:
                    os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise Refused(
                "already_running",
                f"a daemon already runs on this home: pid {holder} holds {self._path}",
                hint="stop it with: clawd stop",
                pid=int(holder) if holder.isdecimal() else None,
            ) from None
        except OSError as failure:
            raise storage_error(self._path, failure) from failure

    def _is_current(self, descriptor: int) -> bool:
        """Whether the file locked is still the one of that name (it may have been removed)."""
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not os.path.samestat(there, os.fstat(descriptor)):
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return True

    def release(self) -> None:
        """Let another daemon have the home; harmless when not held."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> HomeLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.release()


def lock_holder(home: Path) -> int:
    """The process that has this home open, 0 for none, -1 unknown; changes nothing."""
    try:
        descriptor = os.open(home / "state" / "lock", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).strip()
        return int(holder) if holder.isdigit() else -1
    finally:
        os.close(descriptor)
    return 0
