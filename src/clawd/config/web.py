"""What the web tools of a session may reach, and whom they ask."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from clawd.config.provider import OFFLINE_ENDPOINT, Endpoint
from clawd.config.record import Record, SecretText

_LABELS = r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*"
_HOST = re.compile(rf"(\*\.)?{_LABELS}\.?", re.ASCII)
"""A host's name; with ``*.`` before it all names below."""


def check_reach(text: str) -> str:
    """The text itself; ``ValueError`` when it is no network, address or name of a host."""
    address, slash, _ = text.partition("/")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        if len(text) > 253 or not _HOST.fullmatch(text) or address.replace(".", "").isdigit():
            raise ValueError(
                "is neither a network (192.168.1.0/24) nor an address nor the name of a host"
            ) from None
        return text
    if slash and network.network_address != ipaddress.ip_address(address):
        raise ValueError(f"names one address of a network; write {network} or {address}")
    return text


Reach = Annotated[str, AfterValidator(check_reach)]


class WebSearch(Record):
    """The provider behind ``web_search``; its endpoint may be on a private address."""

    provider: Literal["searxng", "brave", "serper"]
    endpoint: Endpoint | None = None
    """SearXNG's own address; for the others the service's unless given."""
    api_key: SecretText | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.endpoint == OFFLINE_ENDPOINT:
            raise ValueError("endpoint must begin with https:// or http://")
        if self.provider == "searxng" and not self.endpoint:
            raise ValueError("searxng needs an endpoint, such as http://127.0.0.1:8888")
        if self.provider != "searxng" and not self.api_key:
            raise ValueError(f"{self.provider} needs an apiKey")
        return self
