"""The connections to endpoints: what goes with a request, and by which way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from clawd.errors import ClawdError, ProviderBusy
from clawd.llm.patience import Patience
from clawd.llm.pool import ModelPool
from clawd.llm.port import ChatRequest, Reply
from clawd.llm.proxies import proxy_of
from clawd.messages import user
from clawd.secrets import Secret

ANSWER = (
    b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: who=the-first; Path=/\r\n"
    b"Content-Length: %d\r\n\r\n" % len(ANSWER)
)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of the environment that the tests run in, and of the test before."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    proxy_of.cache_clear()
    yield
    proxy_of.cache_clear()


@dataclass
class Listener:
    """An HTTP server that keeps what it is sent, and answers every request alike."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    head: bytes = HEAD

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client goes."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(size))
                self.requests.append(head)
                writer.write(self.head + ANSWER)
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


async def ask(pool: ModelPool, url: str, key: str = "sk-1", said: str = "hi") -> str:
    """The answer of a model with this key."""
    stream = pool.model(url, Secret(key)).stream(ChatRequest("m", (user(said),)))
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


@pytest.mark.parametrize(
    ("spared", "address"),
    [
        ("models.corp", "https://models.corp/v1"),
        ("corp", "https://models.corp/v1"),
        (".corp", "https://models.corp/v1"),
        ("*.corp", "https://models.corp/v1"),
        ("other, models.corp:8443", "https://models.corp:8443/v1"),
        ("models.corp:443", "https://models.corp/v1"),
        ("https://models.corp", "https://models.corp/v1"),
        ("10.0.0.0/8", "http://10.1.2.3:9/v1"),
        ("10.1.2.3", "http://10.1.2.3/v1"),
        ("fd00::1", "http://[fd00::1]:9/v1"),
        ("fd00::/8", "http://[fd00::1]/v1"),
        ("*", "https://anywhere.test/v1"),
        ("", "http://127.0.0.2:8080/v1"),
        ("", "http://[::1]:8080/v1"),
        ("", "http://ollama.localhost/v1"),
    ],
)
def test_what_is_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, spared: str, address: str
) -> None:
    """``NO_PROXY`` means what it means to others: a key must not go where it was told not to."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", spared)
    assert proxy_of(address) is None


@pytest.mark.parametrize(
    ("spared", "address"),
    [
        ("models.corp", "https://othermodels.corp/v1"),
        ("models.corp:8443", "https://models.corp/v1"),
        ("http://models.corp", "https://models.corp/v1"),
        ("10.0.0.0/8", "http://11.1.2.3/v1"),
        ("nonsense:port, [", "https://models.corp/v1"),
        ("", "https://models.corp/v1"),
    ],
)
def test_what_is_asked_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, spared: str, address: str
) -> None:
    """Everything else goes by the way that the operator named."""
    monkeypatch.setenv("ALL_PROXY", "proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", spared)
    assert proxy_of(address) == "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("http://127.0.0.1:9", "the proxy that the environment names for it failed"),
        ("socks5://127.0.0.1:9", "socks5 proxies are not supported"),
    ],
)
async def test_a_proxy_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, proxy: str, told: str
) -> None:
    """It is not the endpoint that is out of order, and the error says where to mend it."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    pool = ModelPool(Patience(attempts=1, connect=5))
    with pytest.raises(ProviderBusy, match=told) as caught:
        await ask(pool, "https://models.test/v1")
    assert "NO_PROXY" in caught.value.hint
    await pool.close()


async def test_a_proxy_that_wants_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it answers is not said of the model."""
    async with listening() as proxy:
        proxy.head = b"HTTP/1.1 407 Who are you?\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        pool = ModelPool(Patience(attempts=1, connect=5))
        with pytest.raises(ClawdError, match="wants a name and a password"):
            await ask(pool, "http://models.test/v1")
        await pool.close()


@pytest.mark.parametrize("host", ["a..test", "x" * 70 + ".test"])
async def test_a_name_that_no_host_can_have(host: str) -> None:
    """An address that cannot be one is an endpoint out of reach, not a crash."""
    pool = ModelPool(Patience(attempts=1, connect=5))
    with pytest.raises(ProviderBusy, match="is out of reach"):
        await ask(pool, f"https://{host}/v1")
    await pool.close()


async def test_what_is_no_http() -> None:
    """A server of another kind is said to be one."""
    async with listening() as endpoint:
        endpoint.head = b"220 mail.test ready\r\n\r\n"
        pool = ModelPool(Patience(attempts=1, connect=5))
        with pytest.raises(ProviderBusy, match="no HTTP that can be read"):
            await ask(pool, f"http://127.0.0.1:{endpoint.port}/v1")
        await pool.close()


async def test_a_long_conversation_is_sent_in_parts() -> None:
    """A request of some MiB arrives whole, and nobody is warned of it."""
    async with listening() as endpoint:
        pool = ModelPool(Patience(connect=5))
        url = f"http://127.0.0.1:{endpoint.port}/v1"
        assert await ask(pool, url, said="x" * 3_000_000) == "hi"
        await pool.close()
