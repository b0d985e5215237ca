"""One command from its start to the end of all that it started."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from asyncio.subprocess import Process
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from clawd.errors import Refused
from clawd.tools.exec.inside import Inside
from clawd.tools.exec.launch import Launch
from clawd.tools.exec.output import READ_BYTES, Output

GRACE_SECONDS = 0.7
"""How long a command may clean up after SIGTERM before everything of it is killed."""
_START_SECONDS = 10.0
_GONE_SECONDS = 3.0
_LOOK_SECONDS = 0.25
_LET_GO_SECONDS = 0.5
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int | None
    """Its exit code (128 and more: a signal's number and 128); None when it was ended."""
    seconds: float
    why: str = ""
    """Why it was ended, "" when it ended by itself: such as ``timed out after 10 s``."""


class Running:
    """A command that is started, watched and ended; ``run`` does all of it, once."""

    def __init__(self, launch: Launch, output: Output) -> None:
        self.launch = launch
        self.output = output
        self.began = time.monotonic()
        self.ended: Ended | None = None
        self.up = asyncio.Event()
        """Set when the command has begun."""
        self._asked = ""
        self._stir = asyncio.Event()
        self._held = AsyncExitStack()
        self._inside = Inside(launch)
        self._held.callback(self._inside.close)

    def stop(self, why: str) -> None:
        """Ask it to end soon; ``run`` returns when it has."""
        self._asked = self._asked or why
        self._stir.set()

    async def run(self) -> Ended:
        """Run it. Nothing of it is left when this returns, or when it is cancelled."""
        async with self._held:
            process, gate, source = await self._started()
            return await self._supervised(process, gate, source)

    async def _supervised(
        self, process: Process, gate: socket.socket, source: asyncio.StreamReader
    ) -> Ended:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self.output.take(source))
            leaving = group.create_task(process.wait())
            leaving.add_done_callback(lambda _: self._stir.set())
            ends = (reading, leaving)
            why, problem = "", None
            try:
                await self._let_begin(process, gate, reading)
                self.up.set()
                why = await self._watch(process)
                if why or not await _done((reading,), _LET_GO_SECONDS):
                    await self._end(process, ends)
            except Refused as failure:
                # Raised below: a group would wrap it.
                problem = failure
                await self._end(process, ends)
            except BaseException:
                await self._end(process, ends)
                raise
            finally:
                if not _over(process):
                    # Cancelled twice: it still ends.
                    self._inside.kill(process.pid, waited_for=False)
                reading.cancel()
                leaving.cancel()
        if problem is not None:
            raise problem
        code = None if why else process.returncode
        if code is not None and code < 0:
            code = 128 - code
        self.ended = Ended(code, round(time.monotonic() - self.began, 3), why)
        return self.ended

    async def _started(self) -> tuple[Process, socket.socket, asyncio.StreamReader]:
        """The process at its gate, our end of that, and what it writes."""
        launch, loop = self.launch, asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._held.callback(ours.close)
        reads, writes = os.pipe()
        source = asyncio.StreamReader(limit=READ_BYTES)
        pipe, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(source), os.fdopen(reads, "rb", 0)
        )
        self._held.callback(pipe.close)
        try:
            # From the loop's thread, which is the main one: the sandbox ends with it.
            process = await asyncio.create_subprocess_exec(
                *launch.line,
                stdin=theirs.fileno(),
                stdout=writes,
                stderr=writes,
                env=launch.environment,
                cwd=launch.folder,
                start_new_session=True,
            )
        except OSError as failure:
            raise Refused(
                "exec_failed",
                f"the command cannot be started: {(failure.strerror or str(failure)).lower()}",
                hint="look at what the machine has left of memory and processes",
            ) from failure
        finally:
            theirs.close()
            os.close(writes)
        return process, ours, source

    async def _let_begin(
        self, process: Process, gate: socket.socket, reading: asyncio.Task[None]
    ) -> None:
        """Hold the command at its gate until all is set that is set from outside."""
        loop = asyncio.get_running_loop()
        ready = b""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_START_SECONDS):
                ready = await loop.sock_recv(gate, 1)
        if not ready:
            await _done((reading,), _LET_GO_SECONDS)
            said = self.output.shown().strip()[:500] or "it said nothing"
            raise Refused(
                "sandbox_failed",
                f"the sandbox could not be set up: {said}",
                hint="clawd doctor says what bubblewrap needs",
            )
        await asyncio.to_thread(self._inside.settle, process.pid)
        with suppress(OSError):
            await loop.sock_sendall(gate, b"go\n")

    async def _watch(self, process: Process) -> str:
        """Wait for the end; why it has to be ended, "" when it did so by itself."""
        over = self.began + self.launch.seconds
        while not _over(process):
            left = over - time.monotonic()
            if left <= 0:
                return f"timed out after {self.launch.seconds:g} s"
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await self._stir.wait()
            if self._asked:
                return self._asked
            if self.output.full:
                return f"killed: it wrote more than {self.output.size // _MIB} MiB"
            if _over(process):
                break
            self.output.show()
            if why := await asyncio.to_thread(self._inside.too_much, process.pid):
                return why
        return ""

    async def _end(self, process: Process, ends: tuple[asyncio.Task[Any], ...]) -> None:
        """SIGTERM to all of it, a moment to clean up, then the end of the whole namespace."""
        await asyncio.to_thread(self._inside.ask_to_end, process.pid)
        await _done(ends, GRACE_SECONDS)
        waited_for = process.returncode is not None
        await asyncio.to_thread(self._inside.kill, process.pid, waited_for=waited_for)
        await _done(ends, _GONE_SECONDS)


def _over(process: Process) -> bool:
    return process.returncode is not None


async def _done(tasks: tuple[asyncio.Task[Any], ...], seconds: float) -> bool:
    """Whether all of them ended within the time."""
    _, late = await asyncio.wait(tasks, timeout=seconds)
    return not late
