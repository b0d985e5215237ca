"""Which proxy the environment names for an address; a model on this machine has none."""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from clawd.llm.endpoint import is_loopback


class UnusableProxy(ValueError):
    """The environment names a proxy of a kind that is not spoken here."""


@functools.lru_cache(maxsize=256)
def proxy_of(address: str) -> str | None:
    """The URL of the proxy for an ``http`` or ``https`` address; ``None`` to go there directly.

    ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY`` name it. ``NO_PROXY`` lists what is spared: a
    domain with all below it, an IP address, a network (``10.0.0.0/8``), each with or without a port
    or a scheme, or ``*`` for everything. ``UnusableProxy`` for a proxy that is neither http nor
    https: what was meant for it, the key with it, goes nowhere else.
    """
    parts = urlsplit(address)
    named = getproxies()
    if is_loopback(parts.hostname or "") or any(
        _spares(entry.strip().lower(), parts) for entry in named.get("no", "").split(",")
    ):
        return None
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if (scheme := urlsplit(proxy).scheme) not in ("http", "https"):
        raise UnusableProxy(f"{scheme} proxies are not supported")
    return proxy


def _spares(entry: str, address: SplitResult) -> bool:
    """Whether one entry of ``NO_PROXY`` is about this address."""
    host = address.hostname or ""
    scheme, _, place = entry.rpartition("://")
    if scheme and scheme not in ("all", address.scheme):
        return False
    if place == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(place.strip("[]"), strict=False)
    except ValueError:
        pass
    try:
        named = urlsplit(f"//{place}")
        port = named.port
    except ValueError:
        return False
    usual = {"http": 80, "https": 443}.get(address.scheme)
    if port is not None and port != (address.port or usual):
        return False
    domain = (named.hostname or "").removeprefix("*").removeprefix(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
