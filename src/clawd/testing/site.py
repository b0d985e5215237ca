"""A web site on the loopback interface, of pages that a test wrote."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

Handler = Callable[["Visit"], Awaitable[None]]
"""Answers a visit by what it writes; the connection is closed after it."""

_LONGEST_HEAD = 64 * 1024


@dataclass(slots=True)
class Visit:
    """One request. ``target`` is the path with its query; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter = field(repr=False)

    async def answer(self, body: bytes | str, status: str = "200 OK", **headers: str) -> None:
        """Write a whole response; ``content_type="text/html"`` is the header of that name."""
        data = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.write("\r\n".join((*lines, "", "")).encode("latin-1") + data)

    async def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()


class Site:
    """Serves ``pages`` by path: the text of an HTML page, or a coroutine that answers the visit.

    ``visits`` are the requests that came. Over TLS when it is given a context.
    """

    def __init__(
        self,
        pages: dict[str, str | Handler] | None = None,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.pages: dict[str, str | Handler] = dict(pages or {})
        self.visits: list[Visit] = []
        self.host = host
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where the site is, without a path."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, self.host, 0, ssl=self._tls, limit=_LONGEST_HEAD
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *what: object) -> None:
        assert self._server is not None  # noqa: S101 - for the type checker
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        except asyncio.CancelledError:
            # The site closes: whoever still waits is cut off.
            pass
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        visit = Visit(method, target, headers, body, writer)
        self.visits.append(visit)
        page = self.pages.get(target, self.pages.get(target.partition("?")[0]))
        if page is None:
            await visit.answer("nothing here", "404 Not Found", content_type="text/plain")
        elif isinstance(page, str):
            await visit.answer(page, content_type="text/html; charset=utf-8")
        else:
            await page(visit)


def redirect(location: str, status: str = "302 Found") -> Handler:
    """A page that sends its visitor elsewhere."""

    async def answer(visit: Visit) -> None:
        await visit.answer("", status, location=location)

    return answer
