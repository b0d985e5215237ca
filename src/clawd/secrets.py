"""Secrets that do not show themselves, and a redactor that takes them out of what leaves clawd."""

from __future__ import annotations

import base64
import hmac
import html
import json
import re
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import quote, quote_plus

HIDDEN = "***"

SHORTEST = 8
"""A value with fewer characters is no secret: local servers take any word as a key."""

_WORDS = re.compile(r"[a-z]+(?:[-_. ][a-z]+)*")
_LONGEST_WORDS = 20


class Secret:
    """A value that only ``reveal`` shows: as text, in a format, in JSON or a pickle it does not."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for whoever has to send it or to look into it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{HIDDEN}')"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")


class Redactor:
    """Knows every secret that was loaded, for as long as it lives, and what each looks like.

    A secret is recognised as it is, as JSON, a URL or HTML write it, and in base64, also as a
    part of a longer value. What is no secret by ``worth_hiding`` is left alone.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._names: set[str] = set()
        self._forms: tuple[str, ...] = ()
        self.shortest = 1 << 30
        """No text of fewer characters can hold a secret."""

    def learn(self, secrets: Iterable[Secret], *, names: Iterable[str] = ()) -> None:
        """Hide these from now on, but none that is one of the ``names``: an id is no secret."""
        self._names.update(names)
        new = {s.reveal() for s in secrets if worth_hiding(s)} - self._known - self._names
        if not new:
            return
        self._known |= new
        forms = {form for value in self._known for form in forms_of(value)}
        # The longest first: one may be a part of another.
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self.shortest = min(map(len, forms))

    def clean(self, data: bytes) -> bytes:
        """The bytes (of UTF-8) with every secret as ``***``; the very same when there is none."""
        if not self._forms:
            return data
        # Searched as text: that is thrice as fast, for a line.
        text = data.decode("utf-8", "surrogateescape")
        cleaned = self.text(text)
        return data if cleaned is text else cleaned.encode("utf-8", "surrogateescape")

    def text(self, text: str) -> str:
        """The text with every secret as ``***``."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text


def worth_hiding(secret: Secret) -> bool:
    """Whether a value is a secret by its looks.

    Keys that stand for "none needed" are not: fewer than 8 characters, or fewer than 20 of plain
    lower-case words (``lm-studio``, ``not-needed``). To hide them would blot out harmless text.
    """
    value = secret.reveal()
    if len(value) < SHORTEST:
        return False
    return len(value) >= _LONGEST_WORDS or not _WORDS.fullmatch(value)


def forms_of(value: str) -> set[str]:
    """How a value may be written, each form at least as good as unique."""
    forms = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        html.escape(value),
    }
    raw = value.encode()
    for start in range(3):
        # Base64 of a longer value that holds this one: its bytes fall on one of three places.
        # The characters at either end also depend on what stands beside it.
        encoded = base64.b64encode(b"\0" * start + raw)
        first, last = -(-start * 8 // 6), (start + len(raw)) * 8 // 6
        inner = encoded[first:last].decode()
        forms |= {inner, inner.replace("+", "-").replace("/", "_"), inner.replace("/", "\\/")}
    return {form for form in forms if len(form) >= SHORTEST}
