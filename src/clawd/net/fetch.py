"""Requests to other hosts: web pages, searches, and whatever else leaves this machine."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import httpcore2

from clawd.errors import ClawdError, Refused, TimedOut, Unreachable
from clawd.fences import quoted
from clawd.net.allowed import Allowed
from clawd.net.bounds import Bounds
from clawd.net.headers import checked, complete, for_another_origin
from clawd.net.inflating import too_large, unpacker
from clawd.net.pinned import Pinned, connection, explained
from clawd.net.resolving import Resolve, addresses_of, system_resolve
from clawd.net.response import Head, Response
from clawd.net.urls import Target, parse

Wanted = Callable[[Head], bool]
"""Whether the body is to be read, by what the head says of it."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_BREATH = 64
"""After so many pieces of a body others get their turn: many come in one read."""


class Fetcher:
    """The one way out. Keeps nothing between requests: no cookies, no connections, no cache.

    ``resolve`` looks a name up, once for each request and each redirect; ``trust`` makes the
    certificates that are trusted, the system's own unless given.
    """

    def __init__(
        self,
        resolve: Resolve = system_resolve,
        trust: Callable[[], ssl.SSLContext] = httpcore2.default_ssl_context,
    ) -> None:
        self._resolve = resolve
        self._trust = trust
        self._context: ssl.SSLContext | None = None

    async def get(
        self,
        url: str,
        allowed: Allowed,
        *,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        wanted: Wanted = lambda _: True,
    ) -> Response:
        """Fetch a URL, and follow its redirects; any status is a response.

        ``Invalid`` for a URL or header of a wrong form, ``Refused`` for an address, a redirect or
        a size that is not allowed, ``TimedOut``, ``Unreachable`` for all that others do wrong.
        """
        async with _within(url, bounds.seconds):
            return await self._follow(url, allowed, checked(headers or {}), bounds, wanted)

    async def post(
        self,
        url: str,
        body: bytes,
        allowed: Allowed,
        *,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    ) -> Response:
        """Send a body to a URL, and nowhere else: a redirect is ``Refused``. Errors as `get`."""
        async with _within(url, bounds.seconds):
            target = parse(url)
            response = await self._ask(target, allowed, checked(headers or {}), bounds, body=body)
            if response.status in _REDIRECTS:
                raise Refused(
                    "blocked_redirect",
                    f"{target.origin} wants what was posted sent elsewhere",
                    hint="give the final address",
                )
            return response

    async def _follow(
        self,
        url: str,
        allowed: Allowed,
        headers: dict[str, str],
        bounds: Bounds,
        wanted: Wanted,
    ) -> Response:
        target = parse(url)
        passed: list[str] = []
        while True:
            try:
                response = await self._ask(target, allowed, headers, bounds, wanted)
            except ClawdError as error:
                if passed and error.code == "blocked_address":
                    raise _blocked(passed[-1], error) from None
                raise
            location = response.head.get("location")
            if response.status not in _REDIRECTS or not location:
                return Response(response.head, response.body, response.skipped, tuple(passed))
            passed.append(target.url)
            if len(passed) > bounds.redirects:
                raise Refused(
                    "too_many_redirects",
                    f"{quoted(passed[0])} was redirected more than {bounds.redirects} times",
                )
            following = _next(target, location)
            if following.origin != target.origin:
                headers = for_another_origin(headers)
            target = following

    async def _ask(
        self,
        target: Target,
        allowed: Allowed,
        headers: Mapping[str, str],
        bounds: Bounds,
        wanted: Wanted = lambda _: True,
        body: bytes | None = None,
    ) -> Response:
        if target.address is not None:
            addresses = [target.address]
        else:
            addresses = await addresses_of(target.host, self._resolve)
        allowed.check(target, addresses)
        if target.scheme == "https" and self._context is None:
            self._context = await asyncio.to_thread(self._trust)
        backend = Pinned(addresses)
        request = httpcore2.Request(
            "GET" if body is None else "POST",
            httpcore2.URL(
                scheme=target.scheme,
                host=target.host,
                port=target.port,
                target=target.path,
            ),
            headers=complete(target, headers, body),
            content=body,
            extensions={
                "timeout": {
                    "connect": bounds.connect_seconds,
                    "read": bounds.idle_seconds,
                    "write": bounds.idle_seconds,
                }
            },
        )
        pipe = connection(target, backend, self._context)
        try:
            answer = await pipe.handle_async_request(request)
            try:
                return await _read(target, answer, bounds, wanted)
            finally:
                await answer.aclose()
        except (
            httpcore2.TimeoutException,
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
        ) as error:
            raise explained(target, backend, error) from None
        finally:
            await pipe.aclose()


async def _read(
    target: Target, answer: httpcore2.Response, bounds: Bounds, wanted: Wanted
) -> Response:
    headers = tuple((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in answer.headers)
    head = Head(target.url, answer.status, headers)
    if head.status < 200:
        raise Unreachable("bad_response", f"{target.origin} wants to speak something else")
    if len(headers) > bounds.header_count:
        raise Unreachable("bad_response", f"{target.origin} answers with {len(headers)} headers")
    redirect = head.status in _REDIRECTS and head.get("location")
    if redirect or not wanted(head):
        return Response(head, skipped=True)
    if (head.content_length or 0) > bounds.size:
        raise too_large(target.url, bounds.size)
    unpack = unpacker(head.get("content-encoding"), bounds.size, target.url)
    body = bytearray()
    pieces = 0
    async for piece in answer.aiter_stream():
        body += unpack.feed(piece)
        pieces += 1
        if pieces > bounds.pieces:
            raise Unreachable(
                "bad_response", f"{quoted(target.url)} comes in more pieces than it may"
            )
        if not pieces % _BREATH:
            await asyncio.sleep(0)
    unpack.end()
    return Response(head, bytes(body))


def _next(target: Target, location: str) -> Target:
    try:
        # Bytes beyond ASCII are UTF-8 in all but the oldest corners of the web.
        location = location.encode("latin-1").decode()
    except UnicodeDecodeError:
        pass
    try:
        following = target.join(location)
    except ClawdError as error:
        raise _blocked(target.url, error) from None
    if target.scheme == "https" and following.scheme == "http":
        raise Refused(
            "blocked_redirect",
            f"{target.origin} redirects to {following.origin}, which is not encrypted",
            hint="fetch that address itself if that will do",
        )
    return following


def _blocked(source: str, error: ClawdError) -> Refused:
    return Refused(
        "blocked_redirect",
        f"{quoted(source)} redirects elsewhere: {error.message}",
        hint=error.hint,
    )


@contextlib.asynccontextmanager
async def _within(url: str, seconds: float) -> AsyncIterator[None]:
    """The time that one request may take in all."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimedOut("timeout", f"{quoted(url)} took longer than {seconds:g} s") from None
