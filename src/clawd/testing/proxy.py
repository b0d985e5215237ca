"""A bad network: a TCP proxy that slows, cuts, resets, holds or damages what it passes on.

::

    async with ScriptedModel() as model, FaultProxy(model.port) as proxy:
        proxy.fault = TcpFault.cut(after=200)
        ...  # an endpoint is proxy.url; what it did is in proxy.done
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

_PIECE = 65_536
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class TcpFault:
    """What becomes of one answer; the first ``after`` bytes of it pass unharmed.

    ``seconds`` is how long the first byte is late, or, for a drip, how long each byte takes.
    """

    kind: Literal["pass", "late", "cut", "reset", "hang", "drip", "flip"] = "pass"
    after: int = 0
    seconds: float = 0.0

    @classmethod
    def late(cls, seconds: float) -> TcpFault:
        """The answer begins so much later."""
        return cls("late", 0, seconds)

    @classmethod
    def cut(cls, after: int = 0) -> TcpFault:
        """The connection is closed in good order (FIN)."""
        return cls("cut", after)

    @classmethod
    def reset(cls, after: int = 0) -> TcpFault:
        """The connection is torn down (RST)."""
        return cls("reset", after)

    @classmethod
    def hang(cls, after: int = 0) -> TcpFault:
        """Nothing more comes, and the connection stays open."""
        return cls("hang", after)

    @classmethod
    def drip(cls, seconds: float, after: int = 0) -> TcpFault:
        """One byte at a time, each so many seconds after the one before."""
        return cls("drip", after, seconds)

    @classmethod
    def flip(cls, after: int = 0) -> TcpFault:
        """One bit of the next byte is wrong; no layer below the answer's own can tell."""
        return cls("flip", after)


class FaultProxy:
    """Passes connections on to ``port`` of ``host``; each answer meets the ``fault`` of its time.

    An answer is what the server sends between two things that the client sends, so that the
    requests on one kept connection are told apart. ``choose`` may decide for each answer instead.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.fault = TcpFault()
        self.choose: Callable[[], TcpFault] = lambda: self.fault
        self.done: Counter[str] = Counter()
        """How many answers met which kind of fault."""
        self.connections = 0
        """How many clients are connected."""
        self.port = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._left = asyncio.Condition()

    @property
    def url(self) -> str:
        """The base URL for clients of a model behind it."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self.unused()
            await self._server.wait_closed()

    async def unused(self, seconds: float = 10) -> None:
        """Wait until no client is connected."""
        async with asyncio.timeout(seconds), self._left:
            await self._left.wait_for(lambda: not self.connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            link = _Link(self, writer, there_writer)
            self._writers.add(there_writer)
            try:
                async with asyncio.TaskGroup() as group:
                    back = group.create_task(link.answers(there_reader))
                    await link.requests(reader)
                    # The client has gone: an answer that hangs or drips has nobody to go to.
                    back.cancel()
            finally:
                self._writers.discard(there_writer)
                there_writer.transport.abort()
        except* OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort() if writer.is_closing() else writer.close()
            self.connections -= 1
            async with self._left:
                self._left.notify_all()


class _Link:
    """One client's connection and the one behind it."""

    def __init__(
        self, proxy: FaultProxy, here: asyncio.StreamWriter, there: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._here = here
        self._there = there
        self._fault: TcpFault | None = None
        self._sent = 0

    async def requests(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the client sends; whatever comes next from the server is a new answer."""
        while data := await reader.read(_PIECE):
            self._fault = None
            self._there.write(data)
            await self._there.drain()

    async def answers(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the server sends, with its fault."""
        while data := await reader.read(_PIECE):
            if self._fault is None:
                self._fault, self._sent = self._proxy.choose(), 0
                self._proxy.done[self._fault.kind] += 1
                if self._fault.kind == "late":
                    await asyncio.sleep(self._fault.seconds)
            if not await self._pass(self._fault, data):
                return
        with suppress(OSError):
            self._here.write_eof()

    async def _pass(self, fault: TcpFault, data: bytes) -> bool:
        """False when the connection is of no more use."""
        harmless = max(0, fault.after - self._sent)
        if fault.kind in ("pass", "late") or harmless >= len(data):
            harmless = len(data)
        self._sent += len(data)
        self._here.write(data[:harmless])
        await self._here.drain()
        rest = data[harmless:]
        if not rest:
            return True
        match fault.kind:
            case "cut":
                self._here.close()
                return False
            case "reset":
                raw: socket.socket = self._here.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                self._here.transport.abort()
                return False
            case "hang":
                await asyncio.get_running_loop().create_future()
            case "drip":
                for at in range(len(rest)):
                    await asyncio.sleep(fault.seconds)
                    self._here.write(rest[at : at + 1])
                    await self._here.drain()
            case _:
                self._here.write(bytes([rest[0] ^ 1]) + rest[1:])
                self._fault = TcpFault()
                await self._here.drain()
        return True
