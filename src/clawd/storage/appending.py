"""Appending to many files with a bounded number of descriptors: whole lines, or nothing."""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from typing import NamedTuple

from clawd.errors import StorageError
from clawd.storage.failures import storage_error
from clawd.storage.files import sync_file, sync_folder, write_all

_FLAGS = (
    os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
)  # read too: the last byte is looked at

Identity = tuple[int, int]
"""Device and inode."""


class NotWritten(Exception):
    """The write itself was refused; the file is as it was (or will be cut before its next use)."""

    def __init__(self, failure: OSError) -> None:
        super().__init__(str(failure))
        self.failure = failure


class _OpenFile:
    __slots__ = ("descriptor", "identity", "safe", "size", "torn")

    def __init__(self, descriptor: int, identity: Identity) -> None:
        self.descriptor = descriptor
        self.identity = identity
        self.size = 0
        self.safe = 0  # up to where a failed sync leaves the lines in doubt
        self.torn = False

    def settle(self, size: int) -> None:
        """Take over a size that another hand gave the file."""
        self.size = self.safe = size
        self.torn = size > 0 and os.pread(self.descriptor, 1, size - 1) != b"\n"

    def cut(self, size: int) -> None:
        """Bring the file back to ``size`` and see that it is so."""
        if os.fstat(self.descriptor).st_size > size:
            os.ftruncate(self.descriptor, size)
        if os.fstat(self.descriptor).st_size > size:
            raise OSError(errno.EIO, "the file could not be cut back")


class Written(NamedTuple):
    """Lines that are in a file, of that size now, but not yet on disk."""

    path: str
    file: _OpenFile
    size: int


def sync(written: Written) -> OSError | None:
    """Bring the lines to disk; what went wrong. May run on any thread."""
    try:
        sync_file(written.file.descriptor, data_only=True)
    except OSError as failure:
        return failure
    return None


class AppendFiles:
    """The open files of one writer thread, the least recently used closed first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[str, _OpenFile] = OrderedDict()
        self._named: dict[str, Identity] = {}
        self._unsound: dict[str, tuple[Identity, int]] = {}

    def append(self, path: str, data: bytes) -> None:
        """Append and bring to disk. After an error nothing of ``data`` counts as stored.

        ``NotWritten`` when the write was refused, ``StorageError`` for anything else.
        """
        written = self.write(path, data)
        self.settle(written, sync(written))

    def write(self, path: str, data: bytes) -> Written:
        """Append without bringing it to disk; errors as ``append``.

        ``sync`` and ``settle``, or ``leave``, must follow before the file is written again, and
        before as many other files as may be open.
        """
        try:
            file = self._current(path)
        except OSError as failure:
            raise storage_error(path, failure) from failure
        good = file.size
        if file.torn:
            data = b"\n" + data
        try:
            write_all(file.descriptor, data)
        except OSError as failure:
            self._unsound[path] = file.identity, good
            self._repair(path, file)
            raise NotWritten(failure) from failure
        return Written(path, file, good + len(data))

    def settle(self, written: Written, failure: OSError | None) -> None:
        """Take note of how the sync went; ``StorageError`` when it failed."""
        path, file = written.path, written.file
        if failure is not None:
            # The kernel may have dropped the pages and will not say so twice: this descriptor's
            # word is worth nothing from now on, and the lines are taken back on a fresh one.
            self._unsound[path] = file.identity, file.safe
            self.forget(path)
            self._reopen_unsound(path)
            raise storage_error(path, failure) from failure
        file.size = file.safe = written.size
        file.torn = False

    def leave(self, written: Written) -> None:
        """Leave the lines to the next sync of the file."""
        written.file.size = written.size
        written.file.torn = False

    @property
    def unsound(self) -> bool:
        """Whether a file may hold lines that were refused."""
        return bool(self._unsound)

    def repair(self) -> None:
        """Take back what was refused, as far as the disk lets it."""
        for path in list(self._unsound):
            self._reopen_unsound(path)

    def forget(self, path: str) -> None:
        """Close the file; the next append opens whatever then has its name."""
        file = self._open.pop(path, None)
        if file is not None:
            os.close(file.descriptor)

    def release(self, path: str) -> None:
        """Close the file for good; one that is appended to again is opened as if never seen."""
        self.forget(path)
        self._named.pop(path, None)

    def close(self) -> None:
        """Close every file."""
        while self._open:
            os.close(self._open.popitem()[1].descriptor)

    def _current(self, path: str) -> _OpenFile:
        """The open file that has this name now, in a good state."""
        file = self._open.get(path)
        if file is not None:
            try:
                there = os.stat(path, follow_symlinks=False)
            except FileNotFoundError:
                there = None
            if there is not None and (there.st_dev, there.st_ino) == file.identity:
                self._open.move_to_end(path)
                if path in self._unsound:
                    self._repair(path, file)
                    return self._open.get(path) or self._reopen(path)
                elif there.st_size != file.size:
                    file.settle(there.st_size)
                return file
            self.forget(path)
        return self._reopen(path)

    def _reopen(self, path: str) -> _OpenFile:
        while len(self._open) >= self._limit:
            os.close(self._open.popitem(last=False)[1].descriptor)
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise StorageError(
                    "storage_error",
                    f"{path}: is not a regular file",
                    hint="put a regular file in its place, or remove it",
                    path=path,
                )
            file = _OpenFile(descriptor, (facts.st_dev, facts.st_ino))
            if self._named.get(path) != file.identity:
                # Whoever made the file may have died before its name was on disk.
                sync_folder(os.path.dirname(path) or ".")
                self._named[path] = file.identity
            file.settle(facts.st_size)
            if path in self._unsound:
                self._cut_unsound(path, file)
        except BaseException:
            os.close(descriptor)
            raise
        self._open[path] = file
        return file

    def _cut_unsound(self, path: str, file: _OpenFile) -> None:
        identity, good = self._unsound[path]
        if identity == file.identity:
            file.cut(good)
            # What was refused must not come back with the power either.
            sync_file(file.descriptor)
            file.settle(os.fstat(file.descriptor).st_size)
        del self._unsound[path]

    def _repair(self, path: str, file: _OpenFile) -> None:
        """Take back what a failed write left; when that fails too, the next append tries again."""
        try:
            self._cut_unsound(path, file)
        except OSError:
            self.forget(path)

    def _reopen_unsound(self, path: str) -> None:
        self.forget(path)
        try:
            self._reopen(path)
        except FileNotFoundError:
            self._unsound.pop(path, None)
        except (OSError, StorageError):
            self.forget(path)
