"""A model endpoint that costs next to nothing: both sides of a comparison talk to it.

    python benchmarks/endpoint.py

The first line on stdout is the base URL. The model name says what it does: ``text-32`` streams an
answer of 32 tokens; ``slow-256`` sends so many one by one, two milliseconds apart; ``tools-5``
calls a tool in five replies, one call each, before that answer. Which tool is the name after a
second dash: ``tools-5-noop``.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Iterator
from typing import Any

import msgspec


class Message(msgspec.Struct):
    """All that decides the next answer."""

    role: str


class Asked(msgspec.Struct):
    """A request, as far as it matters."""

    model: str
    messages: list[Message]


_decoder = msgspec.json.Decoder(Asked)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKENS = 32


def _event(**chunk: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = b"data: " + json.dumps(head | chunk, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def _delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _event(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


def _whole(middle: bytes, finish: str) -> bytes:
    return _start() + middle + _end(finish)


def _start() -> bytes:
    return _HEAD + _delta({"role": "assistant", "content": ""})


def _end(finish: str) -> bytes:
    usage = {"prompt_tokens": 100, "completion_tokens": TOKENS, "total_tokens": 100 + TOKENS}
    end = b"data: [DONE]\n\n"
    return b"".join(
        (
            _delta({}, finish),
            _event(choices=[], usage=usage),
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(end), end),
        )
    )


def _tokens(count: int) -> list[bytes]:
    return [_delta({"content": f"tok{n} "}) for n in range(count)]


TEXT = _whole(b"".join(_tokens(TOKENS)), "stop")
APART = 0.002
"""Seconds between the parts of a slow answer."""


@functools.cache
def _slow(count: int) -> list[bytes]:
    return [_start(), *_tokens(count), _end("stop")]


@functools.cache
def _call(tool: str, number: int) -> bytes:
    call = {
        "index": 0,
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": tool, "arguments": '{"limit": 1}'},
    }
    return _whole(_delta({"tool_calls": [call]}), "tool_calls")


def answer(body: bytes) -> bytes | list[bytes]:
    """The whole response to a request, or its parts that go out one by one."""
    asked = _decoder.decode(body)
    kind, _, rest = asked.model.partition("-")
    if kind == "slow":
        return _slow(int(rest))
    if kind != "tools":
        return TEXT
    count, _, tool = rest.partition("-")
    results = 0
    for message in reversed(asked.messages):
        if message.role == "user":
            break
        results += message.role == "tool"
    return _call(tool, results) if results < int(count) else TEXT


class Connection(asyncio.Protocol):
    """One keep-alive connection; each answer goes out in one write."""

    def __init__(self) -> None:
        self._data = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is now whole."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0 and self._transport is not None:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            body = self._data[end + 4 : end + 4 + length]
            self._data = self._data[end + 4 + length :]
            parts = answer(body)
            if isinstance(parts, bytes):
                self._transport.write(parts)
            else:
                self._trickle(iter(parts))

    def _trickle(self, parts: Iterator[bytes]) -> None:
        part = next(parts, None)
        if part is not None and self._transport is not None:
            self._transport.write(part)
            asyncio.get_running_loop().call_later(APART, self._trickle, parts)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", 0, backlog=1024
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
