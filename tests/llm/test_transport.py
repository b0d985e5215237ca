"""The connections below the model client: framing, reuse, and what a broken server leads to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.llm.body import Body, Malformed, read_head
from clawd.llm.transport import DirectTransport

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: 1\r\n\r\n"
)
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world"

Answers = Callable[[int, int], bytes]
"""The bytes for a request, by the number of its connection and its own; b"" hangs up."""


@asynccontextmanager
async def server(answers: Answers) -> AsyncIterator[str]:
    """A server that says exactly these bytes."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        requests = 0
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                requests += 1
                data = answers(number, requests)
                writer.write(data.removesuffix(b"HANGUP"))
                if not data or data.endswith(b"HANGUP"):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    finally:
        listening.close()


@asynccontextmanager
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client over the transport under test."""
    transport = DirectTransport(ssl.create_default_context())
    async with httpx2.AsyncClient(transport=transport, timeout=5) as one:
        yield one


@given(st.lists(st.integers(1, 20), max_size=80), st.sampled_from([CHUNKED, LENGTH]))
def test_a_body_is_the_same_however_it_arrives(sizes: list[int], answer: bytes) -> None:
    """A response may arrive in any pieces: head and body come out the same."""
    buffer, taken, body, rest = bytearray(), b"", None, answer
    for size in [*sizes, len(answer)]:
        buffer += rest[:size]
        rest = rest[size:]
        if body is None and (head := read_head(buffer)) is not None:
            body = Body(head)
        if body is not None:
            taken += body.feed(buffer)
    assert body is not None
    assert (taken, body.ended, bytes(buffer)) == (b"hello, world", True, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-server\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
    ],
)
async def test_what_is_no_http_is_an_error(answer: bytes) -> None:
    """An answer that is malformed in its head or framing is refused, never guessed at."""
    async with server(lambda _, __: answer) as url, client() as one:
        with pytest.raises(httpx2.RemoteProtocolError):
            await one.post(url, content=b"")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nHANGUP", CHUNKED[:70] + b"HANGUP", LENGTH[:-2] + b"HANGUP"]
)
async def test_an_answer_cut_off_is_an_error(answer: bytes) -> None:
    """A connection that ends before its answer does never gives a whole answer."""
    async with server(lambda _, __: answer) as url, client() as one:
        with pytest.raises(httpx2.TransportError):
            await one.post(url, content=b"")


async def test_an_answer_may_last_until_the_connection_ends() -> None:
    """A response without a length ends with its connection, which is not used again."""
    until_end = b"HTTP/1.1 200 OK\r\n\r\nhelloHANGUP"
    async with server(lambda _, __: until_end) as url, client() as one:
        for _ in range(2):
            assert (await one.post(url, content=b"")).text == "hello"


async def test_interim_answers_are_passed_over() -> None:
    """What an endpoint says with a status below 200 is not yet its answer."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with server(lambda _, __: interim + LENGTH) as url, client() as one:
        assert (await one.post(url, content=b"")).text == "hello, world"


async def test_connections_are_used_again_while_they_are_good() -> None:
    """One request after another shares a connection; one that was closed meanwhile is not used."""
    seen: list[tuple[int, int]] = []

    def answers(connection: int, request: int) -> bytes:
        seen.append((connection, request))
        return CHUNKED + (b"HANGUP" if request == 2 else b"")

    async with server(answers) as url, client() as one:
        for _ in range(2):
            await one.post(url, content=b"")
        async with asyncio.timeout(5):
            # Until the end of the first connection has been noticed, a request may meet it.
            while seen[-1][0] == 1:
                try:
                    await one.post(url, content=b"")
                except httpx2.TransportError:
                    continue
    assert seen == [(1, 1), (1, 2), (2, 1)]


async def test_an_answer_not_read_to_its_end_frees_its_connection() -> None:
    """Leaving a stream closes its connection; the next request has a new one."""
    seen: list[int] = []

    def answers(connection: int, _: int) -> bytes:
        seen.append(connection)
        return CHUNKED[:-20] if connection == 1 else CHUNKED

    async with server(answers) as url, client() as one:
        async with one.stream("POST", url, content=b"") as response:
            assert await anext(aiter(response.aiter_raw()))
        assert (await one.post(url, content=b"")).text == "hello, world"
    assert seen == [1, 2]


async def test_no_header_can_bring_a_second_request() -> None:
    """A line break in a header is refused before anything is sent."""
    async with server(lambda _, __: LENGTH) as url, client() as one:
        with pytest.raises(httpx2.LocalProtocolError):
            await one.post(url, content=b"", headers={b"X-A": b"b\r\nGET / HTTP/1.1"})


async def test_a_length_that_is_malformed_is_named() -> None:
    """The framing errors say what was wrong."""
    head = read_head(bytearray(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"))
    assert head is not None
    with pytest.raises(Malformed, match="length"):
        Body(head)
