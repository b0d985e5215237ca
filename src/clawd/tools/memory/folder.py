"""The folder of a session's notes, from which no name and no link leads out.

Everything here blocks. The folder is opened below the workspace, and all that is done in it is
done by names within the descriptor: what is put in its place meanwhile is never touched.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clawd.errors import NotFound, Refused, StorageError
from clawd.ids import now
from clawd.storage import provenance
from clawd.storage.confine import open_within
from clawd.storage.failures import storage_error
from clawd.storage.files import sync_file, write_all
from clawd.storage.workspace import NOTES, TRASH

MAX_NOTES = 200_000
READ_BYTES = 256 * 1024
"""How much of a file is read: what a human has put there may be long."""

Signature = tuple[int, int, int]
"""What tells one state of a file from the next: the time of its last change in ns, of its marks
and names too, its size, its number."""

_STALE_SECONDS = 3600.0
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Read:
    """A file as it was read: its text, its state, its own time in seconds.

    ``source`` is where its text comes from when a turn wrote it that had read from outside.
    """

    text: str
    signature: Signature
    time: float
    source: str


class Folder:
    """The notes of one workspace on the disk; used with ``with folder.opened() as there:``."""

    def __init__(self, workspace: Path) -> None:
        self.path = workspace / NOTES
        self._workspace = workspace

    @contextmanager
    def opened(self, *, make: bool = False) -> Iterator[Opened | None]:
        """The folder, ``None`` when there is none; ``make`` creates it.

        ``Refused`` when something else stands there, or a link that leads out of the workspace.
        """
        try:
            descriptor = self._open(make)
        except FileNotFoundError:
            yield None
            return
        try:
            yield Opened(descriptor, self._workspace)
        finally:
            os.close(descriptor)

    def _open(self, make: bool) -> int:
        try:
            descriptor = open_within(self._workspace, NOTES)
        except FileNotFoundError:
            if not make:
                raise
            try:
                os.mkdir(self.path, 0o700)
            except FileExistsError:
                pass
            except OSError as failure:
                raise storage_error(self.path, failure) from failure
            return self._open(make=False)
        except OSError as failure:
            raise self._refused(failure.strerror or str(failure)) from None
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._refused("it is not a folder")
        return descriptor

    def _refused(self, why: str) -> Refused:
        return Refused(
            "memory_folder",
            f"{self.path} cannot be used for notes: {why.lower()}",
            hint="put a folder there, or a link to one in the same workspace",
        )


class Opened:
    """The folder while it is open; a name is that of a file directly in it."""

    def __init__(self, descriptor: int, workspace: Path) -> None:
        self.descriptor = descriptor
        self._workspace = workspace
        self._path = workspace / NOTES

    @property
    def identity(self) -> tuple[int, int]:
        """What tells this folder from another of its name."""
        facts = os.fstat(self.descriptor)
        return facts.st_dev, facts.st_ino

    @property
    def changed(self) -> int:
        """When a name was last added or taken away, in ns."""
        return os.fstat(self.descriptor).st_mtime_ns

    def scan(self) -> dict[str, Signature]:
        """Every file that is a note, at most ``MAX_NOTES``; links, pipes and the rest are none."""
        found: dict[str, Signature] = {}
        with os.scandir(self.descriptor) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                    self._remove_stale(entry.name)
                if not is_note(entry.name) or not entry.is_file(follow_symlinks=False):
                    continue
                with suppress(FileNotFoundError):
                    found[entry.name] = _signature(entry.stat(follow_symlinks=False))
                if len(found) >= MAX_NOTES:
                    break
        return found

    def _remove_stale(self, name: str) -> None:
        """Remove what a killed process left of a note that it was writing."""
        with suppress(OSError):
            facts = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
            if facts.st_mtime < time.time() - _STALE_SECONDS and stat.S_ISREG(facts.st_mode):
                os.unlink(name, dir_fd=self.descriptor)

    def look(self, name: str) -> Signature | None:
        """The state of one file, ``None`` when it is no note."""
        try:
            facts = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None
        return _signature(facts) if stat.S_ISREG(facts.st_mode) and is_note(name) else None

    def read(self, name: str) -> Read | None:
        """A file; ``None`` when it is no note.

        Of a long file the first 256 KiB; what is not UTF-8 in it is replaced.
        """
        try:
            descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        except OSError:
            return None
        try:
            facts = os.fstat(descriptor)
            # A second name of another owner's file may show what could not be copied here.
            foreign = facts.st_nlink > 1 and facts.st_uid != os.fstat(self.descriptor).st_uid
            if not stat.S_ISREG(facts.st_mode) or foreign:
                return None
            data = b""
            while len(data) < READ_BYTES and (part := os.read(descriptor, READ_BYTES - len(data))):
                data += part
            source = provenance.source_of(self._workspace, descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        text = data.decode("utf-8-sig", errors="replace")
        return Read(text, _signature(facts), facts.st_mtime, source)

    def create(self, name: str, text: str, source: str) -> bool:
        """Put a new file there, whole and on disk; False when the name is taken.

        ``source`` is where its text may come from, "" for inside.
        """
        with self._written(text, name, source) as temporary:
            try:
                os.link(
                    temporary,
                    name,
                    src_dir_fd=self.descriptor,
                    dst_dir_fd=self.descriptor,
                    follow_symlinks=False,
                )
            except FileExistsError:
                return False
            os.fsync(self.descriptor)
        return True

    def replace(self, name: str, text: str, source: str) -> None:
        """Put another text in place of a file's, whole and on disk."""
        with self._written(text, name, source) as temporary:
            os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            os.fsync(self.descriptor)

    def forget(self, name: str) -> str:
        """Move a file into the trash; its path from the workspace there."""
        stamp = now().replace(":", "").replace("-", "")
        kept = f"{stamp}-{secrets.token_hex(2)}-{_short(name)}"
        try:
            with suppress(FileExistsError):
                os.mkdir(self._workspace / TRASH, 0o700)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            trash = os.open(self._workspace / TRASH, flags)
            try:
                os.rename(name, kept, src_dir_fd=self.descriptor, dst_dir_fd=trash)
                os.fsync(trash)
                os.fsync(self.descriptor)
            finally:
                os.close(trash)
        except FileNotFoundError:
            raise NotFound("unknown_note", f"there is no note {name!a}") from None
        except OSError as failure:
            raise storage_error(self._path / name, failure) from failure
        return f"{TRASH}/{kept}"

    @contextmanager
    def _written(self, text: str, name: str, source: str) -> Iterator[str]:
        """A file of another name with this text, on disk; gone at the end unless it was moved."""
        temporary = f".{os.getpid()}-{secrets.token_hex(6)}.tmp"
        try:
            descriptor = os.open(temporary, _WRITE, 0o600, dir_fd=self.descriptor)
            try:
                write_all(descriptor, text.encode(errors="replace"))
                if source:
                    provenance.mark(self._workspace, descriptor, source)
                else:
                    provenance.clear(self._workspace, descriptor)
                sync_file(descriptor)
            finally:
                os.close(descriptor)
            yield temporary
        except OSError as failure:
            if failure.errno == errno.ENAMETOOLONG:
                raise Refused("invalid_note_id", f"{name[:80]!a} is too long a name") from None
            raise storage_error(self._path / name, failure) from failure
        finally:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self.descriptor)


def is_note(name: str) -> bool:
    """Whether a file of this name is a note: Markdown, not hidden, of text that can be shown."""
    return name.endswith(".md") and not name.startswith(".") and name.isprintable()


def full(notes: int) -> None:
    """``StorageError`` when a folder has as many notes as it may have."""
    if notes >= MAX_NOTES:
        raise StorageError(
            "memory_full",
            f"there are {notes} notes, and at most {MAX_NOTES}",
            hint="forget some, or move files out of the folder",
        )


def _short(name: str) -> str:
    """The name, with as much of it left out as a name of the trash has no room for."""
    stem = name.removesuffix(".md").encode()[:200].decode(errors="ignore")
    return f"{stem}.md"


def _signature(facts: os.stat_result) -> Signature:
    return facts.st_ctime_ns, facts.st_size, facts.st_ino
