"""The daemon's process keeps to itself: its files, its memory, what it says on stderr."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import sys
import threading
import traceback
from types import TracebackType

from clawd.secrets import Redactor

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """What it makes is its user's alone; its memory lands in no core file and no debugger.

    Other processes of the same user can neither attach to it nor read its environment in
    ``/proc`` (root can).
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_secrets_off_stderr(redactor: Redactor) -> None:
    """Take secrets out of log lines on stderr, and out of tracebacks that nobody caught."""
    for handler in logging.getLogger().handlers:
        if handler.formatter is not None:
            handler.setFormatter(_Redacting(handler.formatter, redactor))

    def died(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        lines = traceback.format_exception(kind, error, trace)
        sys.stderr.write(redactor.text("".join(lines)))

    def thread_died(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is not None and what.exc_type is not SystemExit:
            died(what.exc_type, what.exc_value, what.exc_traceback)

    sys.excepthook = died
    threading.excepthook = thread_died


class _Redacting(logging.Formatter):
    def __init__(self, inner: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._inner = inner
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.text(self._inner.format(record))
