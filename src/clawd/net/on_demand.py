"""The way out, loaded when it is first used."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from clawd.net.allowed import Allowed
from clawd.net.bounds import Bounds
from clawd.net.response import Head, Response


class Fetching(Protocol):
    """Reads from other hosts (``clawd.net.fetch.Fetcher``, where the errors are described)."""

    async def get(
        self,
        url: str,
        allowed: Allowed,
        *,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        wanted: Callable[[Head], bool] = lambda _: True,
    ) -> Response:
        """Fetch a URL, and follow its redirects."""
        ...

    async def post(
        self,
        url: str,
        body: bytes,
        allowed: Allowed,
        *,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    ) -> Response:
        """Send a body to a URL, and nowhere else."""
        ...


class OnDemand:
    """A ``Fetcher`` whose modules are loaded with the first request, in a thread.

    They take a fifth of the time in which a daemon is ready.
    """

    def __init__(self) -> None:
        self._fetcher: Fetching | None = None

    async def get(self, url: str, allowed: Allowed, **options: Any) -> Response:
        """See ``Fetching``."""
        return await (await self._loaded()).get(url, allowed, **options)

    async def post(self, url: str, body: bytes, allowed: Allowed, **options: Any) -> Response:
        """See ``Fetching``."""
        return await (await self._loaded()).post(url, body, allowed, **options)

    async def _loaded(self) -> Fetching:
        if (fetcher := self._fetcher) is None:
            module = await asyncio.to_thread(importlib.import_module, "clawd.net.fetch")
            fetcher = self._fetcher = module.Fetcher()
        return fetcher
