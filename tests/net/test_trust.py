"""The certificate is the name's, though the connection is the address's."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import which

import pytest

from clawd.errors import ClawdError, Refused, TimedOut, Unreachable
from clawd.net.allowed import Allowed
from clawd.net.bounds import Bounds
from clawd.net.fetch import Fetcher
from clawd.testing.site import Site, redirect

HERE = Allowed.of(["127.0.0.0/8"])


async def here(_name: str) -> list[str]:
    """Every name is at home."""
    return ["127.0.0.1"]


class Sealed:
    """A site over TLS, who signed for it, and the names that its visitors asked for."""

    def __init__(self, site: Site, authority: Path, named: list[str]) -> None:
        self.site = site
        self.authority = authority
        self.named = named

    def trusting(self) -> ssl.SSLContext:
        """The certificates of somebody who knows this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority)
        return context


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Sealed]:
    """A site whose certificate is for ``sealed.example``."""
    if which("openssl") is None:
        pytest.skip("making a certificate needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=sealed.example", "-addext", "subjectAltName=DNS:sealed.example"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    named: list[str] = []

    def heard(_socket: ssl.SSLObject, name: str, _context: ssl.SSLContext) -> None:
        named.append(name)

    context.sni_callback = heard
    async with Site({"/": "sealed"}, tls=context) as site:
        yield Sealed(site, certificate, named)


async def test_the_name_is_what_tls_is_asked_for(sealed: Sealed) -> None:
    """Pinned to an address, the connection still names the host, and checks its certificate."""
    url = f"https://sealed.example:{sealed.site.port}/"
    response = await Fetcher(here, sealed.trusting).get(url, HERE)
    assert response.body == b"sealed"
    assert sealed.named == ["sealed.example"]
    assert sealed.site.visits[0].headers["host"] == f"sealed.example:{sealed.site.port}"


@pytest.mark.parametrize(
    ("host", "known", "words"),
    [
        ("sealed.example", False, "its certificate is not trusted (self-signed certificate)"),
        ("other.example", True, "Hostname mismatch"),
        ("127.0.0.1", True, "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_not_right_is_said_in_words(
    sealed: Sealed, host: str, known: bool, words: str
) -> None:
    """Who is not who they say is not read; the error says why."""
    fetcher = Fetcher(here, sealed.trusting) if known else Fetcher(here)
    with pytest.raises(Unreachable) as caught:
        await fetcher.get(f"https://{host}:{sealed.site.port}/", HERE)
    assert caught.value.code == "tls_failed"
    assert words in caught.value.message
    assert not sealed.site.visits


async def test_no_tls_where_there_should_be_some_is_said_in_words(sealed: Sealed) -> None:
    """And the other way round."""

    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="TLS failed: there is no TLS on that port"):
            await Fetcher(here).get(f"https://plain.example:{port}/", HERE)
    async with Site({"/": "open"}) as silent:
        with pytest.raises(TimedOut, match="does not begin with TLS"):
            await Fetcher(here).get(
                f"https://plain.example:{silent.port}/", HERE, bounds=Bounds(connect_seconds=0.1)
            )
    with pytest.raises(ClawdError) as caught:
        await Fetcher(here).get(f"http://sealed.example:{sealed.site.port}/", HERE)
    assert caught.value.code == "bad_response"


async def test_what_was_encrypted_stays_encrypted(sealed: Sealed) -> None:
    """A redirect to plain HTTP is refused, and not asked."""
    async with Site({"/": "open"}) as plain:
        sealed.site.pages["/down"] = redirect(f"{plain.url}/")
        with pytest.raises(Refused) as caught:
            await Fetcher(here, sealed.trusting).get(
                f"https://sealed.example:{sealed.site.port}/down", HERE
            )
        assert caught.value.code == "blocked_redirect"
        assert "not encrypted" in caught.value.message
        assert not plain.visits
