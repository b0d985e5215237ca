"""The connections to endpoints: what goes with a request, and by which way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from clawd.llm.patience import Patience
from clawd.llm.pool import ModelPool
from clawd.llm.port import ChatRequest, Reply
from clawd.messages import user
from clawd.secrets import Secret

ANSWER = (
    b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: who=the-first; Path=/\r\n"
    b"Content-Length: %d\r\n\r\n" % len(ANSWER)
)


@dataclass
class Listener:
    """An HTTP server that keeps what it is sent, and answers every request alike."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client goes."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(size))
                self.requests.append(head)
                writer.write(HEAD + ANSWER)
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """A listener on loopback."""
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


async def ask(pool: ModelPool, url: str, key: str) -> str:
    """The answer of a model with this key."""
    stream = pool.model(url, Secret(key)).stream(ChatRequest("m", (user("hi"),)))
    (reply,) = [item async for item in stream if isinstance(item, Reply)]
    return reply.text


async def test_a_cookie_is_not_carried_from_one_key_to_another() -> None:
    """What an endpoint tells one key to remember is nothing that another key brings along."""
    pool = ModelPool(Patience(connect=5))
    async with listening() as endpoint:
        url = f"http://localhost:{endpoint.port}/v1"
        assert await ask(pool, url, "sk-first") == "hi"
        assert await ask(pool, url, "sk-second") == "hi"
        await pool.close()
    first, second = endpoint.requests
    assert b"Authorization: Bearer sk-first" in first
    assert b"Authorization: Bearer sk-second" in second
    assert b"the-first" not in second


async def test_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host elsewhere is asked through ``HTTP_PROXY``, unless ``NO_PROXY`` names it."""
    async with listening() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "direct.invalid")
        pool = ModelPool(Patience(attempts=1, connect=5))
        assert await ask(pool, "http://models.invalid/v1", "sk-1") == "hi"
        assert proxy.requests[0].startswith(b"POST http://models.invalid/v1/chat/completions ")
        with pytest.raises(Exception, match="its name cannot be resolved"):
            await ask(pool, "http://direct.invalid/v1", "sk-2")
        await pool.close()
    assert len(proxy.requests) == 1


async def test_a_model_on_this_machine_is_asked_without_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody else learns what is said to a model at home."""
    async with listening() as proxy, listening() as endpoint:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        pool = ModelPool(Patience(connect=5))
        assert await ask(pool, f"http://127.0.0.1:{endpoint.port}/v1", "sk-1") == "hi"
        await pool.close()
    assert not proxy.requests
