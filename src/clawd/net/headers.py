"""The headers of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clawd import __version__
from clawd.errors import Invalid
from clawd.net.inflating import ACCEPTED
from clawd.net.urls import Target

USER_AGENT = f"clawd/{__version__}"

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_VALUE = re.compile(r"[\x20-\x7e]{0,4096}", re.ASCII)
_OWN = frozenset(
    "host user-agent accept-encoding connection content-length transfer-encoding".split()
)
_HARMLESS = frozenset(("accept", "accept-language"))
"""What is said to another origin after a redirect too; anything else may be a credential."""


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """The caller's headers; ``Invalid`` (``invalid_header``) never repeats a value."""
    for name, value in given.items():
        if not _NAME.fullmatch(name) or name.lower() in _OWN:
            raise Invalid("invalid_header", f"{name[:100]!a} is no header to be set")
        if not _VALUE.fullmatch(value):
            raise Invalid(
                "invalid_header",
                f"the value of {name} holds a character that no header has, or is too long",
            )
    return dict(given)


def for_another_origin(given: Mapping[str, str]) -> dict[str, str]:
    """What of the caller's headers may be told to somebody else."""
    return {name: value for name, value in given.items() if name.lower() in _HARMLESS}


def complete(
    target: Target, given: Mapping[str, str], body: bytes | None
) -> list[tuple[bytes, bytes]]:
    """All headers of a request, as they are sent."""
    headers = {
        "Host": target.authority,
        "User-Agent": USER_AGENT,
        "Accept-Encoding": ACCEPTED,
        "Connection": "close",
        **({} if body is None else {"Content-Length": str(len(body))}),
        **given,
    }
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
