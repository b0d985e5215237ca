"""An endpoint as it may be shown: its host, and what it said without secrets."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

_SHOWN = 200


class Endpoint:
    """Where a model is served; ``hide`` takes secrets out of what it says.

    ``key_from`` says in words where its key is written.
    """

    def __init__(
        self,
        url: str,
        hide: Callable[[str], str],
        key_from: str = "apiKey of the provider template",
    ) -> None:
        self.url = url
        self.key_from = key_from
        self._hide = hide
        parts = urlsplit(url)
        self.host = parts.netloc.rpartition("@")[2] or url
        self.hostname = parts.hostname or ""
        self.loopback = is_loopback(self.hostname)

    def shown(self, text: str) -> str:
        """At most 200 characters in one line, printable, with every secret as ``***``."""
        text = self._hide(text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def is_loopback(hostname: str) -> bool:
    """Whether a host is this machine."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False
