"""Names to addresses, once for each request."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from clawd.errors import Unreachable
from clawd.net.addresses import Address, address_of

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a name as text; ``OSError`` when it has none."""

MOST = 16
"""How many addresses of a name are looked at."""


@functools.cache
def _lookups() -> ThreadPoolExecutor:
    # Threads of their own: a name server that does not answer holds none of those of the disk.
    return ThreadPoolExecutor(8, "clawd-names")


async def system_resolve(name: str) -> Sequence[str]:
    """Ask the system, as every program on this machine does."""
    found = await asyncio.get_running_loop().run_in_executor(
        _lookups(), functools.partial(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
    )
    return [str(entry[4][0]) for entry in found]


async def addresses_of(name: str, resolve: Resolve) -> list[Address]:
    """The addresses of a name, each once; ``Unreachable`` when there is none."""
    try:
        found = await resolve(name)
        addresses = list(dict.fromkeys(address_of(text) for text in found))
    except (OSError, UnicodeError, ValueError):
        # A name server may well be at fault: the text does not say that there is no such host.
        addresses = []
    if not addresses or len(addresses) > MOST:
        what = "cannot be resolved" if not addresses else f"has more than {MOST} addresses"
        raise Unreachable(
            "unresolvable_host", f"the host {name} {what}", hint="is its name written rightly?"
        )
    return addresses
