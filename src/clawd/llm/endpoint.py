"""An endpoint as it may be shown: its host, and what it said without the key."""

from __future__ import annotations

import base64
import ipaddress
from urllib.parse import quote, urlsplit

_SHOWN = 200


class Endpoint:
    """Where a model is served, with the key that must never be seen."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host = parts.netloc.rpartition("@")[2] or url
        self.hostname = parts.hostname or ""
        self.loopback = _is_loopback(self.hostname)
        self._secrets = _forms(api_key)

    def shown(self, text: str) -> str:
        """At most 200 characters in one line, printable, with the key as ``***``."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _forms(api_key: str) -> list[str]:
    # A shorter key is no secret (local servers take any word) and would blot out harmless text.
    if len(api_key) < 8:
        return []
    encoded = base64.b64encode(api_key.encode()).decode().rstrip("=")
    return sorted({api_key, quote(api_key, safe=""), encoded}, key=len, reverse=True)


def _is_loopback(hostname: str) -> bool:
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False
