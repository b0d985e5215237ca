"""A server at an address: streamable HTTP, with bounds on what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client

from clawd.tools.mcp.launch import Address
from clawd.tools.mcp.limits import LINE_BYTES
from clawd.tools.mcp.watch import Watch

_CONNECT_SECONDS = 10.0
_WRITE_SECONDS = 30.0
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@asynccontextmanager
async def address(at: Address, watch: Watch) -> AsyncIterator[Any]:
    """The streams of a server that is asked at its address.

    Headers go to its origin alone: a redirect that leads elsewhere is an error. An answer that
    takes its time has the time of the call.
    """

    async def look(response: httpx2.Response) -> None:
        if response.is_error or response.has_redirect_location:
            watch.status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.RemoteProtocolError("it sent compressed content, unasked")
        if isinstance(response.stream, httpx2.AsyncByteStream) and not _is_stream(response):
            response.stream = _Bounded(response.stream)

    client = httpx2.AsyncClient(
        headers={"Accept-Encoding": "identity", **at.headers},
        timeout=httpx2.Timeout(_WRITE_SECONDS, connect=_CONNECT_SECONDS, read=None),
        follow_redirects=False,
        # A server on this machine is never asked through a proxy.
        mounts={f"all://{name}": None for name in _LOCAL},
        event_hooks={"response": [look]},
    )
    async with client:
        transport: Transport = streamable_http_client(
            at.url, http_client=client, max_sse_event_size=LINE_BYTES
        )
        async with transport as streams:
            yield streams


def _is_stream(response: httpx2.Response) -> bool:
    kind = response.headers.get("content-type", "").lower()
    return response.is_success and kind.startswith("text/event-stream")


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._stream:
            size += len(data)
            if size > LINE_BYTES:
                raise httpx2.StreamError(f"its answer has more than {LINE_BYTES} bytes")
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()
