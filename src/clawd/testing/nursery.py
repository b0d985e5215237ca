"""Daemons that need not load clawd first: forked from a process that has.

Loading takes nine tenths of a daemon's start. One process does it for all that a test run starts
(``python -m clawd.testing.nursery``); a child of it becomes ``clawd WORDS`` with the environment,
the folder and the files of whoever asked, and differs from a new interpreter in nothing else than
its name in ``ps``.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

_LENGTH = struct.Struct("!I")
_CODE = struct.Struct("!i")
_LOADED = ("clawd.cli.main", "clawd.daemon.serving", "clawd.llm.pool", "clawd.net.fetch")


class Process(Protocol):
    """What is asked of a daemon's process, whoever its parent is."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal's number; ``None`` while it is not known."""
        ...

    async def wait(self) -> int:
        """Wait until it has ended; the exit code."""
        ...

    def send_signal(self, signal: int) -> None:
        """Send it a signal; ``ProcessLookupError`` when it has ended."""
        ...


class Child:
    """A child of the nursery, which tells of its end."""

    def __init__(self, pid: int, report: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._report = report
        self._reading = asyncio.Lock()

    async def wait(self) -> int:
        """Wait until it has ended; the exit code, negative for a signal's number."""
        # One reads at a time: a loop knows only the latest reader of a socket.
        async with self._reading:
            if self.returncode is None:
                told = await asyncio.get_running_loop().sock_recv(self._report, _CODE.size)
                # Without a word the nursery is gone, and its children with it.
                self.returncode = _CODE.unpack(told)[0] if told else -signal.SIGKILL
                self._report.close()
        return self.returncode

    def send_signal(self, signal: int) -> None:
        """Send it a signal; ``ProcessLookupError`` when it is known to have ended."""
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, signal)


class Nursery:
    """The side that asks: starts the nursery with the first child, ends it with this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    async def start(
        self, words: Sequence[str], *, environ: Mapping[str, str], umask: int, errors: int
    ) -> Child:
        """Start ``clawd WORDS``, stderr to the file descriptor ``errors``.

        A ``umask`` of -1 is the nursery's own.
        """
        order = {
            "words": list(words), "environ": dict(environ), "umask": umask, "cwd": os.getcwd(),
        }  # fmt: skip
        body = json.dumps(order).encode()
        report, theirs = socket.socketpair()
        report.setblocking(False)
        with theirs:
            orders = self._running()
            socket.send_fds(orders, [_LENGTH.pack(len(body))], [theirs.fileno(), errors])
            orders.sendall(body)
        told = await asyncio.get_running_loop().sock_recv(report, _CODE.size)
        if not told:
            report.close()
            raise ChildProcessError("the nursery of daemons has ended")
        return Child(_CODE.unpack(told)[0], report)

    def _running(self) -> socket.socket:
        if self._orders is not None and self._process is not None and self._process.poll() is None:
            return self._orders
        if self._orders is not None:
            self._orders.close()  # it has died: the next takes its place
        else:
            atexit.register(self._end)
        self._orders, theirs = socket.socketpair()
        with theirs:
            line = [sys.executable, "-m", "clawd.testing.nursery"]
            self._process = subprocess.Popen(line, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)
        return self._orders

    def _end(self) -> None:
        if self._orders is not None and self._process is not None:
            self._orders.close()
            self._process.wait(timeout=10)


nursery = Nursery()
"""The one of this process."""


class _Order(NamedTuple):
    """What a child becomes."""

    words: list[str]
    environ: dict[str, str]
    umask: int
    cwd: str

    def carry_out(self, errors: int) -> int:
        os.dup2(errors, 2)
        os.close(errors)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(self.environ)
        time.tzset()
        if self.umask >= 0:
            os.umask(self.umask)
        os.chdir(self.cwd)
        sys.argv = ["clawd", *self.words]
        return int(importlib.import_module("clawd.cli.main").main())


class _Server:
    """The side that forks: reads orders until the other side is gone, and reports each end."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._children: dict[int, socket.socket] = {}
        self._woken, waking = socket.socketpair()
        self._own = [orders, self._woken, waking]
        for each in (self._woken, waking):
            each.setblocking(False)
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Ctrl-C is for the tests; when they end, so does this.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> int:
        """Until the other side is gone; in a child, until what it became has ended."""
        while True:
            ready, _, _ = select.select([self._orders, self._woken], [], [])
            if self._woken in ready:
                self._woken.recv(4096)
                self._reap()
            if self._orders in ready:
                received = self._receive()
                if received is None:
                    return self._close()
                order, report, errors = received
                if (pid := os.fork()) == 0:
                    for each in (*self._own, *self._children.values(), report):
                        each.close()
                    return order.carry_out(errors)
                os.close(errors)
                self._children[pid] = report
                report.sendall(_CODE.pack(pid))

    def _receive(self) -> tuple[_Order, socket.socket, int] | None:
        data, files, _, _ = socket.recv_fds(self._orders, _LENGTH.size, 2)
        if not data:
            return None
        (length,) = _LENGTH.unpack(data)
        body = b""
        while len(body) < length and (part := self._orders.recv(length - len(body))):
            body += part
        report, errors = files
        return _Order(**json.loads(body)), socket.socket(fileno=report), errors

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                with self._children.pop(pid) as report, contextlib.suppress(OSError):
                    report.sendall(_CODE.pack(os.waitstatus_to_exitcode(status)))

    def _close(self) -> int:
        """Nobody is left to end what still runs."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)
        return 0


def main() -> int:
    """Load clawd, then serve whoever holds the other end of stdin."""
    orders = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for name in _LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    return _Server(orders).serve()


if __name__ == "__main__":
    sys.exit(main())
