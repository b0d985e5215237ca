"""The HTTP client that all endpoints share, and what each request to an endpoint has in common."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import openai

from clawd.llm.endpoint import Endpoint

OPENAI = "api.openai.com"

_ACCOUNT = frozenset({"OpenAI-Organization", "OpenAI-Project"})
_ERROR_LIMIT = 256 * 1024


def addressed(
    endpoint: Endpoint, key: str, http_client: httpx2.AsyncClient, path: str
) -> tuple[httpx2.URL, dict[str, str]]:
    """Where requests of one kind go, and the headers that the official client sends with them."""
    client = openai.AsyncOpenAI(
        base_url=endpoint.url, api_key=key or "none", http_client=http_client
    )
    headers = {
        name: value
        for name, value in client.default_headers.items()
        if isinstance(value, str)
        # They come from the environment and are nobody else's business.
        and (endpoint.hostname == OPENAI or name not in _ACCOUNT)
    }
    address = httpx2.URL(f"{client.base_url}{path}")
    return address, headers | client.auth_headers if key else headers


def online_client() -> httpx2.AsyncClient:
    """A client with one pool of connections; never follows a redirect, for it carries a key."""
    return openai.DefaultAioHttpClient(
        # An agent's tool may take a minute: the connection is still there for the next call.
        limits=httpx2.Limits(
            max_connections=1024, max_keepalive_connections=128, keepalive_expiry=120
        ),
        follow_redirects=False,
        # A model on this machine is never asked through a proxy.
        mounts={f"all://{name}": None for name in ("localhost", "127.0.0.1", "[::1]")},
        event_hooks={"response": [_bound_errors]},
    )


def client_over(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    """A client whose every request goes to one transport."""
    return httpx2.AsyncClient(transport=transport)


async def _bound_errors(response: httpx2.Response) -> None:
    """The client reads the body of an error to its end: there must be one."""
    if not response.is_success and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._stream:
            yield data
            size += len(data)
            if size > _ERROR_LIMIT:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()
