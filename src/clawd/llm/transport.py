"""HTTP/1.1 straight on the event loop, below the client: what a model call costs besides the model.

The client's own transport looks at every open connection before each request and goes through
three libraries for each part of an answer, which was half of a turn. This one does what a model
call needs and nothing else: no proxies (see `connections.py`), no HTTP/2, no redirects.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2

from clawd.llm.body import Body, Head, Malformed, read_head

_WINDOW = 256 * 1024
"""Bytes of an answer that may wait to be read before the network is held back."""

Origin = tuple[str, str, int]


class DirectTransport(httpx2.AsyncBaseTransport):
    """Keeps at most ``keep`` idle connections, each for ``seconds``; the newest is used first."""

    def __init__(self, tls: ssl.SSLContext, *, keep: int = 128, seconds: float = 120.0) -> None:
        self._tls = tls
        self._keep = keep
        self._seconds = seconds
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the response once its head is here. Raises ``httpx2.HTTPError``."""
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx2.UnsupportedProtocol(f"{url.scheme}: only http and https are spoken")
        port = url.port or (443 if url.scheme == "https" else 80)
        origin = (url.scheme, url.raw_host.decode("ascii"), port)
        data = _request(request, await request.aread())
        connection = self._free(origin) or await self._connect(origin, request)
        try:
            await connection.send(data)
            head = await connection.head(request.method == "HEAD")
        except BaseException:
            connection.abort()
            raise
        return httpx2.Response(
            head.status, headers=head.headers, stream=_Stream(self, origin, connection)
        )

    def keep(self, origin: Origin, connection: _Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        idle = self._idle.setdefault(origin, deque())
        if self._closed or not connection.reusable or len(idle) >= self._keep:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        idle.append(connection)
        while idle[0].idle_since < connection.idle_since - self._seconds:
            idle.popleft().close()

    async def aclose(self) -> None:
        """Close what is idle; what is in use closes when its answer is read."""
        self._closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    def _free(self, origin: Origin) -> _Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.reusable and time.monotonic() - connection.idle_since < self._seconds:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin, request: httpx2.Request) -> _Connection:
        scheme, host, port = origin
        seconds = request.extensions.get("timeout", {}).get("connect")
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection,
                    host.strip("[]"),
                    port,
                    ssl=self._tls if scheme == "https" else None,
                    happy_eyeballs_delay=0.25,
                )
        except TimeoutError as failure:
            raise httpx2.ConnectTimeout(f"no connection to {host}:{port}") from failure
        except (OSError, ssl.SSLError) as failure:
            raise httpx2.ConnectError(str(failure)) from _refusal(failure)
        return connection


class _Connection(asyncio.Protocol):
    """One connection: one request after another."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._body: Body | None = None
        self._lost = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable = True
        self._paused = False

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the last answer is whole and allows it."""
        whole = self._body is None or (self._body.ended and self._body.keeps_alive)
        # Bytes that nobody asked for would be taken for the next answer.
        return whole and not self._lost and not self._buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there (asyncio)."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Some bytes arrived (asyncio)."""
        self._buffer += data
        if len(self._buffer) > _WINDOW and self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio)."""
        self._lost = True
        self._failure = exc
        self._wake()

    def pause_writing(self) -> None:
        """The network is slower than the request (asyncio)."""
        self._writable = False

    def resume_writing(self) -> None:
        """The network has caught up (asyncio)."""
        self._writable = True
        self._wake()

    async def send(self, data: bytes) -> None:
        """Send a whole request."""
        if self._transport is None or self._lost:
            raise httpx2.WriteError("the connection was lost")
        self._body = None
        self._transport.write(data)
        # An endpoint may refuse before it has read everything: then its answer is what counts.
        while not (self._writable or self._buffer or self._lost):
            await self._arrival()

    async def head(self, bodiless: bool) -> Head:
        """Wait for the head of the answer."""
        while True:
            try:
                head = read_head(self._buffer)
                if head is not None and head.status >= 200:
                    self._body = Body(head, bodiless)
                    return head
            except Malformed as error:
                raise httpx2.RemoteProtocolError(str(error)) from None
            if head is None:
                await self._more()

    async def parts(self) -> AsyncIterator[bytes]:
        """The body, in pieces of all that is at hand."""
        body = self._body
        while body is not None:
            try:
                data = body.feed(self._buffer)
                if self._lost and not body.ended and not data:
                    if self._failure is not None:
                        raise Malformed("the connection was lost within the answer")
                    body.end()
            except Malformed as error:
                raise httpx2.RemoteProtocolError(str(error)) from self._failure
            self._resume()
            if data:
                yield data
            if body.ended:
                return
            if not data:
                await self._more(at_end=True)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close an idle connection."""
        if self._transport is not None:
            self._transport.close()

    async def _more(self, *, at_end: bool = False) -> None:
        """Wait for more bytes; without ``at_end`` the end of the connection is an error."""
        if self._lost:
            if at_end:
                return
            raise httpx2.ReadError("the connection was lost before an answer") from self._failure
        self._resume()
        await self._arrival()

    async def _arrival(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _resume(self) -> None:
        if self._paused and len(self._buffer) <= _WINDOW and self._transport is not None:
            self._paused = False
            if not self._lost:
                self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Stream(httpx2.AsyncByteStream):
    """The body of a response; its connection is kept when it was read to the end."""

    def __init__(self, owner: DirectTransport, origin: Origin, connection: _Connection) -> None:
        self._owner = owner
        self._origin = origin
        self._connection: _Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._connection is not None:
            async for data in self._connection.parts():
                yield data

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.reusable:
            self._owner.keep(self._origin, connection)
        else:
            connection.abort()


def _request(request: httpx2.Request, body: bytes) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines):
        raise httpx2.LocalProtocolError("a header has a line break")
    return b"\r\n".join([*lines, b"", body])


def _refusal(failure: OSError) -> OSError:
    """The cause by its kind, also where several addresses were tried."""
    with suppress(AttributeError):
        if failure.errno is None and f"[Errno {errno.ECONNREFUSED}]" in str(failure):
            return ConnectionRefusedError(errno.ECONNREFUSED, str(failure))
    return failure
