"""Where a configuration holds secrets, and the secrets that are written there themselves.

A literal key stands in ``config.json`` alone. In a copy of the file it is scrambled, so that it
shows in no listing, search or backup of one file; whoever has the scrambling key too can read it.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from clawd.config.filling import refers, secrets_in
from clawd.config.keys import is_literal, resolve_key
from clawd.errors import Invalid
from clawd.secrets import Secret

ADDRESS_WITH_USER = re.compile(r"(\w+://)([^/@\s]+)@")
_NAME = re.compile(r"key|secret|token|password|credential|authorization|cookie", re.IGNORECASE)
_LOOSE = frozenset(
    {
        "gateway",
        "bus",
        "registry",
        "coordination",
        "mcpServers",
        "schedules",
        "apiKey",
        "encryption",
    }
)
"""The keys below which there may be secrets; elsewhere no name makes one."""
HOLDERS = frozenset({"env", "headers"})
"""What stands below these, and refers to something, refers to a secret whatever its name."""
_SCHEME = re.compile(r"(?:Bearer|Basic|Token) +(\S+)", re.IGNORECASE)
"""How a header begins whose secret is also used without its first word."""
_SCRAMBLED = re.compile(r"\$\{scrambled:([A-Za-z0-9_=-]{24,})\}")
_NONCE = 16


def named_secret(name: str) -> bool:
    """Whether a key of this name holds a secret, in a part that takes any keys."""
    return bool(_NAME.search(name))


def in_places(value: Any, change: Callable[[str], Any]) -> Any:
    """The content of a file with ``change`` applied to each text that may hold a secret."""
    if isinstance(value, dict):
        return {
            name: (_changed(name, inner, change) if name in _LOOSE else in_places(inner, change))
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [in_places(inner, change) for inner in value]
    return value


def _changed(name: str, value: Any, change: Callable[[str], Any], held: bool = False) -> Any:
    held = held or name in HOLDERS
    if isinstance(value, dict):
        return {inner: _changed(inner, below, change, held) for inner, below in value.items()}
    if isinstance(value, list):
        return [_changed(name, below, change, held) for below in value]
    if isinstance(value, str) and (
        named_secret(name) or ADDRESS_WITH_USER.search(value) or (held and refers(value))
    ):
        return change(value)
    return value


def secrets_of(content: Any, environ: Mapping[str, str], home: Path | None) -> Iterator[Secret]:
    """Every secret that a file holds or refers to; references that do not resolve are passed by."""
    found: list[str] = []
    in_places(content, found.append)
    for text in found:
        if (address := ADDRESS_WITH_USER.search(text)) is not None:
            user, _, password = address[2].partition(":")
            yield Secret(password or user)
            continue
        yield from secrets_in(text, environ, home)
        if (scheme := _SCHEME.match(text)) is not None and not refers(text):
            yield Secret(scheme[1])
        try:
            secret = resolve_key(Secret(text), environ, home)
        except Invalid:
            secret = Secret(text) if is_literal(Secret(text)) else None
        if secret is not None:
            yield secret


def without_literals(text: str, content: Any, key: bytes) -> str:
    """The text of a file, or when a secret stands in it the same content with it scrambled."""
    written: list[str] = []

    def scrambled(value: str) -> str:
        if not is_literal(Secret(value)):
            return value
        written.append(value)
        nonce = os.urandom(_NONCE)
        data = _mixed(value.encode("utf-8", "surrogatepass"), nonce, key)
        return f"${{scrambled:{base64.urlsafe_b64encode(nonce + data).decode()}}}"

    changed = in_places(content, scrambled)
    return json.dumps(changed, ensure_ascii=False, indent=1) if written else text


def with_literals(text: str, key: bytes) -> str:
    """What ``without_literals`` was given; with another key the secrets in it are of no use."""

    def plain(match: re.Match[str]) -> str:
        data = base64.urlsafe_b64decode(match[1] + "==")
        value = _mixed(data[_NONCE:], data[:_NONCE], key).decode("utf-8", "replace")
        return json.dumps(value)[1:-1]

    return _SCRAMBLED.sub(plain, text)


def _mixed(data: bytes, nonce: bytes, key: bytes) -> bytes:
    stream = b"".join(
        hmac.digest(key, nonce + count.to_bytes(4, "big"), "sha256")
        for count in range(len(data) // 32 + 1)
    )
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))
