"""Notices when the event loop stands still, and says where; tells systemd that it does not."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping

from clawd.daemon.notify import notify
from clawd.messages import JSON

log = logging.getLogger("clawd.watchdog")

BLOCKED_SECONDS = 0.25
"""A loop that answers nobody for so long is blocked."""
LOOK_SECONDS = 0.1
_FRAMES = 12


class Watchdog:
    """A thread that asks the loop for a sign of life, and counts when it does not come.

    ``told`` is called on the loop, after each blockage, with what happened in words.
    """

    def __init__(
        self, told: Callable[[str], object], *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.blocked = 0
        self.longest = 0.0
        self.lag = 0.0
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._thread_of_loop = threading.get_ident()
        self._closing = threading.Event()
        self._answered = threading.Event()
        self._ping_every = _systemd_seconds(environ)
        self._pinged = 0.0
        self._thread = threading.Thread(target=self._run, name="clawd-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._answered.set()
        self._thread.join(timeout=1)

    def state(self) -> JSON:
        """What ``clawd status`` shows: blockages since the start, and the delay just now."""
        return {
            "blocked": self.blocked,
            "longestMilliseconds": round(self.longest * 1000),
            "lagMilliseconds": round(self.lag * 1000, 1),
        }

    def _run(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            try:
                self._look()
            except RuntimeError:
                return  # the loop is closed

    def _look(self) -> None:
        self._answered.clear()
        asked = time.monotonic()
        self._loop.call_soon_threadsafe(self._answered.set)
        in_time = self._answered.wait(BLOCKED_SECONDS)
        waited = time.monotonic() - asked
        if in_time or self._closing.is_set():
            self.lag = waited
            self._tell_systemd()
            return
        if waited > 2 * BLOCKED_SECONDS:
            # This thread was not run either: the whole process stood still, or the machine.
            where = ""
        else:
            where = self._stack()
            log.warning("the event loop has been blocked for %.0f ms, by\n%s", waited * 1000, where)
        while not self._answered.wait(1.0):
            pass
        self._ended(time.monotonic() - asked, where)

    def _ended(self, seconds: float, where: str) -> None:
        self.lag = seconds
        if self._closing.is_set():
            return
        self.blocked += 1
        self.longest = max(self.longest, seconds)
        by = where.strip().splitlines()[-2:-1]
        text = f"the event loop was blocked for {seconds:.1f} s"
        text += f" by {by[0].strip()}" if by else ", with the whole process or inside native code"
        log.warning("%s; it goes on", text)
        self._loop.call_soon_threadsafe(self._told, text)

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._thread_of_loop)  # noqa: SLF001 - documented
        return "".join(traceback.format_stack(frame)[-_FRAMES:]) if frame is not None else ""

    def _tell_systemd(self) -> None:
        if self._ping_every and time.monotonic() - self._pinged >= self._ping_every:
            self._pinged = time.monotonic()
            notify("WATCHDOG=1")


def _systemd_seconds(environ: Mapping[str, str]) -> float:
    """How often systemd wants to hear from this process; 0 when it does not."""
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
        meant = int(environ.get("WATCHDOG_PID", str(os.getpid()))) == os.getpid()
    except ValueError:
        return 0.0
    return microseconds / 2e6 if meant else 0.0
