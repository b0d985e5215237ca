"""The processes of one command as they are seen from outside: bounded, counted, ended.

Everything here blocks for a millisecond or a few.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress

from clawd.sandbox import pids
from clawd.tools.exec.census import below, carrying
from clawd.tools.exec.launch import MARK, Launch

_MIB = 1024 * 1024


class Inside:
    """What runs for a command, below the process that was started (``pid`` in all methods)."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._first = 0
        """The first process in the sandbox: everything there ends with it."""
        self._handle = -1
        self._most = launch.limits.processes

    def settle(self, pid: int) -> None:
        """Set what is set from outside, before the command itself begins."""
        if self._launch.confined:
            self._first = pids.inside_of(pid)
            with suppress(OSError):
                # A number may be another's by the time that it is needed.
                self._handle = os.pidfd_open(self._first)
            if self._first and pids.needed() and pids.bound(self._first, self._most):
                self._most += pids.SPARE
        # Of all that runs on a machine without memory, commands go first.
        for each in (pid, *below(pid).pids):
            with suppress(OSError), open(f"/proc/{each}/oom_score_adj", "w") as setting:
                setting.write("1000")

    def too_much(self, pid: int) -> str:
        """Why it has to be ended, "" when it keeps within its limits."""
        census, limits = below(pid), self._launch.limits
        most = limits.memory_mib * _MIB
        if census.memory() > most and census.shares() > most:
            return f"killed: memory, it had more than {limits.memory_mib} MiB"
        if census.threads > self._most:
            return f"killed: it had more than {limits.processes} processes"
        return ""

    def ask_to_end(self, pid: int) -> None:
        """SIGTERM to all that the command started."""
        if self._launch.confined:
            # Not to bubblewrap: with that everything would be gone at once.
            inside = [each for each in below(pid).pids if each != self._first]
            _send(inside, signal.SIGTERM)
        else:
            left = below(pid).pids
            _send_group(pid, signal.SIGTERM)
            _send(left, signal.SIGTERM)

    def kill(self, pid: int, *, waited_for: bool) -> None:
        """SIGKILL; afterwards nothing of it is left, or, without a sandbox, hardly anything.

        ``waited_for``: the process itself is gone, and its number may be another's.
        """
        if self._launch.confined:
            if self._handle >= 0:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            _send([] if waited_for else [pid], signal.SIGKILL)
            return
        left = () if waited_for else below(pid).pids
        _send_group(pid, signal.SIGKILL)
        _send(left, signal.SIGKILL)
        # What made itself independent still carries the mark, unless it took pains.
        _send(carrying(f"{MARK}={self._launch.id}"), signal.SIGKILL)

    def close(self) -> None:
        """Let go of what is held."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _send(targets: Iterable[int], number: signal.Signals) -> None:
    for pid in targets:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _send_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
