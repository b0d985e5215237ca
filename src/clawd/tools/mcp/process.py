"""A server as a process: messages on stdin and stdout, a line each.

In place of the package's own transport, which reads lines of any length, hides what else a server
writes, and hands on more of the environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from clawd.tools.mcp.launch import Command
from clawd.tools.mcp.limits import GRACE_SECONDS, LINE_BYTES
from clawd.tools.mcp.problems import ServerProblem
from clawd.tools.mcp.watch import Watch, shown

_CHUNK = 64 * 1024
_LARGE = 256 * 1024
_NOT_FOUND = (126, 127)

Messages = MemoryObjectSendStream[SessionMessage | Exception]
Streams = tuple[
    MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]
]


@asynccontextmanager
async def process(command: Command, watch: Watch) -> AsyncIterator[Streams]:
    """The streams of a server that is started here, and ended with all its children.

    Its end, a flood or an endless line ends the block with ``ServerProblem``.
    """
    try:
        started = await asyncio.create_subprocess_exec(
            *command.line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=command.folder,
            env=command.environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ServerProblem(f"{command.line[-1]!a} cannot be started: {reason}") from None
    try:
        incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        with incoming, read, write, outgoing:
            async with anyio.create_task_group() as group:
                said = anyio.Event()
                group.start_soon(_read, started, incoming, watch, said)
                group.start_soon(_listen, started, watch, said)
                group.start_soon(_write, started, outgoing)
                try:
                    yield read, write
                finally:
                    group.cancel_scope.cancel()
    finally:
        try:
            await _leave(started)
        finally:
            _close(started)


async def _read(
    started: asyncio.subprocess.Process, messages: Messages, watch: Watch, said: anyio.Event
) -> None:
    stdout = started.stdout
    if stdout is None:
        return
    rest = bytearray()
    looked = 0
    while data := await stdout.read(_CHUNK):
        rest += data
        while (end := rest.find(b"\n", looked)) >= 0:
            line = bytes(rest[:end]).strip()
            del rest[: end + 1]
            looked = 0
            if line:
                await _take(line, messages, watch)
        looked = len(rest)
        if looked > LINE_BYTES:
            raise ServerProblem(
                f"it wrote a line of more than {LINE_BYTES} bytes, which begins: "
                f"{shown(bytes(rest[:200]))}"
            )
    if rest.strip():
        watch.noise = watch.noise or shown(bytes(rest))
    raise ServerProblem(await _end(started, watch, said))


async def _take(line: bytes, messages: Messages, watch: Watch) -> None:
    try:
        if len(line) > _LARGE:
            message = await asyncio.to_thread(
                jsonrpc_message_adapter.validate_json, line, by_name=False
            )
        else:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        watch.noisy(line)
        return
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await messages.send(SessionMessage(message))


async def _end(started: asyncio.subprocess.Process, watch: Watch, said: anyio.Event) -> str:
    """How it ended, in words."""
    with anyio.move_on_after(GRACE_SECONDS):
        await started.wait()
        await said.wait()
    code = started.returncode
    if code is None:
        text = "it closed its stdout"
    elif code < 0:
        text = f"it was ended by signal {-code}"
    else:
        text = f"it ended with status {code}"
    if code in _NOT_FOUND:
        text += ", as a command that is not found does (for one in the sandbox, see readable)"
    noise = f"; on stdout it wrote {watch.noise}" if watch.noise else ""
    last = watch.last_line()
    return f"{text}{noise}" + (f"; its last words: {last}" if last else "")


async def _listen(started: asyncio.subprocess.Process, watch: Watch, said: anyio.Event) -> None:
    stderr = started.stderr
    while stderr is not None and (data := await stderr.read(_CHUNK)):
        watch.said(data)
    said.set()


async def _write(
    started: asyncio.subprocess.Process, messages: MemoryObjectReceiveStream[SessionMessage]
) -> None:
    stdin = started.stdin
    if stdin is None:
        return
    async for item in messages:
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            stdin.write(text.encode() + b"\n")
            await stdin.drain()
        except (ConnectionError, RuntimeError):
            # It does not listen any more; the end of its stdout says why.
            return


async def _leave(started: asyncio.subprocess.Process) -> None:
    """Let it end by itself once its stdin is closed, then tell it to."""
    with anyio.CancelScope(shield=True):
        if started.stdin is not None:
            started.stdin.close()
        for step in (None, signal.SIGTERM, signal.SIGKILL):
            if step is not None:
                _signal(started, step)
            with anyio.move_on_after(GRACE_SECONDS):
                await _drained(started)
                return


def _close(started: asyncio.subprocess.Process) -> None:
    """Nothing of it is left, also where a second cancellation cut the leave-taking short."""
    _signal(started, signal.SIGKILL)
    # A child that left the group may hold a pipe; nothing public closes this end of it.
    transport = getattr(started, "_transport", None)
    if transport is not None:
        with suppress(PermissionError):
            transport.close()


async def _drained(started: asyncio.subprocess.Process) -> None:
    """Wait for its end, and for that of its pipes, reading what is left in them."""
    async with anyio.create_task_group() as group:
        for pipe in (started.stdout, started.stderr):
            if pipe is not None:
                group.start_soon(_discard, pipe)
        await started.wait()


async def _discard(pipe: asyncio.StreamReader) -> None:
    while await pipe.read(_CHUNK):
        pass


def _signal(started: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To it and its children, which have a process group of their own.

    Also when it has ended itself: a child may hold on.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(started.pid, number)
