"""The logs: one for each session in its workspace, one for the daemon; JSON lines, rotated.

A thread writes them; the event loop only puts lines into a queue. What is logged within a moment
is written together: a thread that woke for every line would cost a turn more than its transcript.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from clawd.config.schema import LogSettings
from clawd.daemon.discretion import logged, parties
from clawd.events import Notice, SessionRemoved, TextMessageContent
from clawd.ids import now
from clawd.stream import Published

_OPEN_FILES = 64
_MOMENT = 0.05
"""Seconds that a line may wait for others before it is written."""
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ORDER = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Logbook:
    """Writes events as they are published, and the records of Python's ``logging``."""

    def __init__(
        self,
        state: Path,
        settings: Callable[[], LogSettings],
        workspace: Callable[[str], Path | None],
        clean: Callable[[bytes], bytes],
        private: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._daemon = state / "logs" / "daemon.log"
        self._settings = settings
        self._workspace = workspace
        self._clean = clean
        self._private = private
        self._lines: deque[tuple[Path | None, bytes]] = deque()
        self._some = threading.Event()
        self._closing = threading.Event()
        self._files: OrderedDict[Path | None, int] = OrderedDict()
        self._thread = threading.Thread(target=self._write_all, name="clawd-logs", daemon=True)
        self._thread.start()

    def __call__(self, published: Published) -> None:
        """Log an event: to the logs of the sessions that it is about, or to the daemon's."""
        event = published.event
        if isinstance(event, TextMessageContent):
            return
        level = event.level if isinstance(event, Notice) else "info"
        if _ORDER[level] < _ORDER[self._settings().level]:
            return
        ends = parties(event)
        line = b'{"level":"%s",%s\n' % (level.encode(), logged(published, ends, self._private)[1:])
        workspaces = [found for i in ends if (found := self._workspace(i)) is not None]
        for workspace in workspaces:
            self._put(workspace, line)
        if not workspaces or isinstance(event, Notice):
            self._put(None, line)
        if isinstance(event, SessionRemoved):
            self._put(None, b"")

    def record(self, record: logging.LogRecord) -> None:
        """Log a record of Python's ``logging`` to the daemon's log."""
        fields = {
            "level": record.levelname.lower(),
            "time": now(),
            "event": "log",
            "logger": record.name,
            "text": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = logging.Formatter().formatException(record.exc_info)
        self._put(None, self._clean(msgspec.json.encode(fields)) + b"\n")

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._closing.set()
        self._some.set()
        self._thread.join(timeout=5)

    def _put(self, workspace: Path | None, line: bytes) -> None:
        """A line for a session's log, or the daemon's."""
        self._lines.append((workspace, line))
        if not self._some.is_set():
            self._some.set()

    def _write_all(self) -> None:
        while not self._closing.is_set():
            self._some.wait()
            self._closing.wait(_MOMENT)
            self._some.clear()  # before the queue is emptied, so that what comes after wakes again
            self._write_queued()
        self._write_queued()
        for workspace in list(self._files):
            self._close(workspace)

    def _write_queued(self) -> None:
        lines: dict[Path | None, list[bytes]] = {}
        while self._lines:
            workspace, line = self._lines.popleft()
            lines.setdefault(workspace, []).append(line)
        # Open files first: in any other order each would be closed just before its turn came.
        for workspace in sorted(lines, key=lambda each: each not in self._files):
            try:
                for piece in _pieces(lines[workspace], self._settings().max_bytes):
                    self._write(workspace, piece)
            except OSError:
                # A log that cannot be written must never stop what it tells of.
                self._close(workspace)
        if b"" in lines.get(None, ()):
            # A session went: its files are closed with all others, which are opened when needed.
            for workspace in list(self._files):
                self._close(workspace)

    def _write(self, workspace: Path | None, lines: bytes) -> None:
        descriptor = self._files.get(workspace)
        if descriptor is None:
            descriptor = self._open(workspace)
        facts = os.fstat(descriptor)
        if facts.st_nlink == 0:
            # Somebody removed the file.
            self._close(workspace)
            descriptor = self._open(workspace)
            facts = os.fstat(descriptor)
        self._files.move_to_end(workspace)
        os.write(descriptor, lines)
        if facts.st_size + len(lines) > self._settings().max_bytes:
            self._close(workspace)
            self._rotate(self._path(workspace))

    def _open(self, workspace: Path | None) -> int:
        path = self._path(workspace)
        try:
            descriptor = os.open(path, _FLAGS, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, _FLAGS, 0o600)
        self._files[workspace] = descriptor
        if len(self._files) > _OPEN_FILES:
            self._close(next(iter(self._files)))
        return descriptor

    def _path(self, workspace: Path | None) -> Path:
        return workspace / "logs" / "session.log" if workspace else self._daemon

    def _rotate(self, path: Path) -> None:
        keep = self._settings().keep
        for number in range(keep, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
            if newer.exists():
                newer.replace(older)
        if keep == 0:
            path.unlink(missing_ok=True)

    def _close(self, workspace: Path | None) -> None:
        descriptor = self._files.pop(workspace, None)
        if descriptor is not None:
            os.close(descriptor)


def _pieces(lines: list[bytes], most: int) -> Iterator[bytes]:
    """Whole lines joined to about ``most`` bytes each, so that what is rotated stays bounded."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size > most:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


class LogHandler(logging.Handler):
    """Hands the records of Python's ``logging`` to the logbook."""

    def __init__(self, logbook: Logbook) -> None:
        super().__init__()
        self._logbook = logbook

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record."""
        self._logbook.record(record)
