"""The logs: one for each session in its workspace, one for the daemon; JSON lines, rotated.

A thread writes them; the event loop only puts lines into a queue.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from clawd.config.schema import LogSettings
from clawd.events import Notice, TextMessageContent
from clawd.ids import now
from clawd.stream import Published

_OPEN_FILES = 64
_ORDER = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Logbook:
    """Writes events as they are published, and the records of Python's ``logging``."""

    def __init__(
        self,
        state: Path,
        settings: Callable[[], LogSettings],
        workspace: Callable[[str], Path | None],
    ) -> None:
        self._daemon = state / "logs" / "daemon.log"
        self._settings = settings
        self._workspace = workspace
        self._lines: queue.SimpleQueue[tuple[Path, bytes] | None] = queue.SimpleQueue()
        self._files: OrderedDict[Path, int] = OrderedDict()
        self._thread = threading.Thread(target=self._write_all, name="clawd-logs", daemon=True)
        self._thread.start()

    def __call__(self, published: Published) -> None:
        """Log an event: to its session's log, or to the daemon's."""
        event = published.event
        if isinstance(event, TextMessageContent):
            return
        level = event.level if isinstance(event, Notice) else "info"
        if _ORDER[level] < _ORDER[self._settings().level]:
            return
        workspace = self._workspace(event.session) if event.session else None
        path = workspace / "logs" / "session.log" if workspace else self._daemon
        line = published.encoded()
        self._lines.put((path, b'{"level":"%s",%s\n' % (level.encode(), line[1:])))
        if isinstance(event, Notice) and workspace:
            self._lines.put((self._daemon, b'{"level":"%s",%s\n' % (level.encode(), line[1:])))

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
        self._lines.put((self._daemon, msgspec.json.encode(fields) + b"\n"))

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._lines.put(None)
        self._thread.join(timeout=5)

    def _write_all(self) -> None:
        while (item := self._lines.get()) is not None:
            path, line = item
            try:
                self._write(path, line)
            except OSError:
                # A log that cannot be written must never stop what it tells of.
                self._close(path)
        for path in list(self._files):
            self._close(path)

    def _write(self, path: Path, line: bytes) -> None:
        descriptor = self._files.get(path)
        if descriptor is None:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = (
                os.O_WRONLY
                | os.O_APPEND
                | os.O_CREAT
                | os.O_CLOEXEC
                | os.O_NOFOLLOW
                | os.O_NONBLOCK
            )
            descriptor = self._files[path] = os.open(path, flags, 0o600)
            if len(self._files) > _OPEN_FILES:
                self._close(next(iter(self._files)))
        self._files.move_to_end(path)
        os.write(descriptor, line)
        if os.fstat(descriptor).st_size > self._settings().max_bytes:
            self._close(path)
            self._rotate(path)

    def _rotate(self, path: Path) -> None:
        keep = self._settings().keep
        for number in range(keep, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
            if newer.exists():
                newer.replace(older)
        if keep == 0:
            path.unlink(missing_ok=True)

    def _close(self, path: Path) -> None:
        descriptor = self._files.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


class LogHandler(logging.Handler):
    """Hands the records of Python's ``logging`` to the logbook."""

    def __init__(self, logbook: Logbook) -> None:
        super().__init__()
        self._logbook = logbook

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record."""
        self._logbook.record(record)
