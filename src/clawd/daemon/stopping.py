"""Signals and the deadline of a stop: neither waits for an event loop that may be stuck."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable

log = logging.getLogger("clawd.daemon")

STOP_LIMIT_SECONDS = 9.5
"""A process that was told to stop is gone after so long, whatever hangs."""
TERMINATED = 143
_STOPS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Ends the process: in good order on the first signal, at once on the second.

    A thread of its own reads the signals, so that a blocked loop cannot keep them waiting, and
    ends the process when the deadline of a stop passes. SIGHUP is noted, no more: a daemon
    outlives its terminal. Make one on the main thread.
    """

    def __init__(
        self, stop: Callable[[], object], leave: Callable[[int], object] = os._exit
    ) -> None:
        self._stop = stop
        self._leave = leave
        self._told = 0
        self._deadline = 0.0
        self._wanted, self._channel = socket.socketpair()
        self._channel.setblocking(False)
        for number in (*_STOPS, signal.SIGHUP):
            # A handler, not SIG_IGN: that one would be inherited by every child process.
            signal.signal(number, _noted)
        signal.set_wakeup_fd(self._channel.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="clawd-signals", daemon=True).start()

    def arm(self, seconds: float = STOP_LIMIT_SECONDS) -> None:
        """From now on the process has so many seconds to end by itself."""
        self._deadline = time.monotonic() + seconds
        self._channel.send(b"\0")

    def _watch(self) -> None:
        while True:
            left = max(0.0, self._deadline - time.monotonic()) if self._deadline else None
            ready, _, _ = select.select([self._wanted], [], [], left)
            if not ready:
                self._overdue()
                return
            for number in self._wanted.recv(64):
                self._take(number)

    def _take(self, number: int) -> None:
        if number == signal.SIGHUP:
            log.info("the terminal is gone; the daemon goes on")
        elif number in _STOPS:
            self._told += 1
            if self._told > 1:
                # A second signal does not wait for anyone; what was acknowledged is on disk.
                self._leave(TERMINATED)
            self._stop()

    def _overdue(self) -> None:
        log.error("it did not end in time, and is ended now; what was acknowledged is on disk")
        self._leave(TERMINATED)


def _noted(number: int, frame: object) -> None:
    """Python's part of a signal: the thread has heard of it by the wakeup descriptor."""
