"""The real client over TLS, in front of a local server with a certificate of its own."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

from clawd.errors import ProviderBusy
from clawd.llm.patience import Patience
from clawd.llm.pool import ModelPool
from clawd.llm.port import ChatRequest, Reply
from clawd.messages import user

EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"sealed"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Sealed:
    """A server over TLS: its port, its authority, and how many clients came that far."""

    port: int
    authority: Path
    connections: int = 0


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Sealed]:
    """A model that answers one word, with a certificate that nobody else knows."""
    if which("openssl") is None:
        pytest.skip("making a certificate needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    running = Sealed(0, certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        writer.write(HEAD % len(EVENTS) + EVENTS)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    running.port = server.sockets[0].getsockname()[1]
    async with server:
        yield running


async def ask(url: str) -> str:
    """The answer of the model at this address, over a client of its own."""
    pool = ModelPool(Patience(backoff=0.01, connect=1))
    try:
        request = ChatRequest("m", (user("hi"),))
        items = [item async for item in pool.model(url).stream(request)]
    finally:
        await pool.close()
    (reply,) = [item for item in items if isinstance(item, Reply)]
    return reply.text


async def test_an_unknown_certificate_is_not_trusted(sealed: Sealed) -> None:
    """F24: one attempt, nothing is sent, and the error says what is wrong and how to mend it."""
    with pytest.raises(ProviderBusy, match="its certificate is not trusted") as caught:
        await ask(f"https://localhost:{sealed.port}/v1")
    assert "SSL_CERT_FILE" in caught.value.hint
    assert sealed.connections == 0


async def test_an_authority_of_ones_own(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SSL_CERT_FILE the endpoint of a company or a machine of one's own is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(sealed.authority))
    assert await ask(f"https://localhost:{sealed.port}/v1") == "sealed"


async def test_a_certificate_for_another_name(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate is for its name alone, whoever signed it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(sealed.authority))
    with pytest.raises(ProviderBusy, match="its certificate is not trusted"):
        await ask(f"https://127.0.0.1:{sealed.port}/v1")


async def test_a_server_that_speaks_no_tls(sealed: Sealed) -> None:
    """Https where http is spoken: three attempts, and an error that names the host."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    plain = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = plain.sockets[0].getsockname()[1]
    async with plain:
        with pytest.raises(ProviderBusy, match=f"localhost:{port} is out of reach: TLS failed"):
            await ask(f"https://localhost:{port}/v1")
