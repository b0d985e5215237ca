"""The HTTP connections that all endpoints share, and what each request to one has in common."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Protocol

import aiohttp
import httpx2
import openai
from aiohttp.http import HttpProcessingError

from clawd.llm.endpoint import Endpoint
from clawd.llm.proxies import proxy_of

OPENAI = "api.openai.com"

_ACCOUNT = frozenset({"OpenAI-Organization", "OpenAI-Project"})
_CONNECTIONS = 1024
_KEPT_SECONDS = 120
"""An agent's tool may take a minute: the connection is still there for the next call."""
_AT_ONCE = 65_536
_LONG = 1024 * 1024


class Lost(Exception):
    """No connection, or one that was lost; its cause says how."""


class Answer(Protocol):
    """What an endpoint answered: read it to its end, and close it in any case."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by names in any case."""
        ...

    def at_hand(self) -> bytes:
        """What has arrived of the body by now, at most 64 KiB; b"" when nothing has.

        Raises ``Lost``.
        """
        ...

    async def wait(self) -> bytes:
        """What arrives next of the body, at most 64 KiB; b"" at its end. Raises ``Lost``."""
        ...

    def close(self) -> None:
        """Free the connection; one whose answer was not read to its end is closed."""
        ...


class Wire(Protocol):
    """Where requests go."""

    async def post(self, address: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request; ``Lost`` when no answer begins."""
        ...

    async def close(self) -> None:
        """Close every connection; requests that still run fail."""
        ...


def addressed(endpoint: Endpoint, key: str, path: str) -> tuple[str, dict[str, str]]:
    """Where requests of one kind go, and the headers that the official client sends with them."""
    nowhere = httpx2.AsyncClient(transport=httpx2.AsyncBaseTransport(), trust_env=False)
    client = openai.AsyncOpenAI(base_url=endpoint.url, api_key=key or "none", http_client=nowhere)
    headers = {
        name: value
        for name, value in client.default_headers.items()
        if isinstance(value, str)
        # They come from the environment and are nobody else's business.
        and (endpoint.hostname == OPENAI or name not in _ACCOUNT)
    }
    return f"{client.base_url}{path}", headers | client.auth_headers if key else headers


class Connections:
    """One pool of connections; never follows a redirect, for a request carries a key."""

    def __init__(self, connect_seconds: float) -> None:
        """``connect_seconds`` bounds each try to connect; every other limit is the caller's.

        Reads the certificates (BLOCKS).
        """
        self._trusted = httpx2.create_ssl_context()
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, address: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See ``Wire``."""
        if self._session is None:
            self._session = self._opened()
        elif self._session.closed:
            raise Lost("all connections are closed")
        try:
            response = await self._session.post(
                address,
                data=body if len(body) < _LONG else io.BytesIO(body),  # sent in parts
                headers=headers,
                allow_redirects=False,
                proxy=proxy_of(address),
            )
        # A host's name that cannot be one is a ValueError.
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Lost(str(error)) from error
        return _Response(response)

    async def close(self) -> None:
        """See ``Wire``."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        pool = aiohttp.TCPConnector(
            limit=_CONNECTIONS, keepalive_timeout=_KEPT_SECONDS, ssl=self._trusted
        )
        # A cookie that one key was given would be sent with another.
        cookies = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(connector=pool, timeout=self._timeout, cookie_jar=cookies)


class _Response:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self.status = response.status
        self.headers = response.headers

    def at_hand(self) -> bytes:
        try:
            return self._content.read_nowait(_AT_ONCE)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise Lost(str(error)) from error

    async def wait(self) -> bytes:
        try:
            return await self._content.read(_AT_ONCE)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise Lost(str(error)) from error

    def close(self) -> None:
        self._response.release()
