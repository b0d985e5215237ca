"""Characters that are there and not seen: taken out of what a model reads, shown to people."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Controls, marks of direction and of width zero, fillers, tags, variation selectors."""
_DECEPTIVE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Of these, what no text in any script needs: a result may be a file with joiners in it."""


def has_unseen(text: str) -> bool:
    """Whether there is anything in a text that nobody sees."""
    return _UNSEEN.search(text) is not None


def without_unseen(text: str) -> str:
    """The text without it; line feeds and tabs stay."""
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub("", text)


def with_unseen_shown(text: str) -> str:
    """The text with each such character as ``⟨U+202E⟩``."""
    return _UNSEEN.sub(_point, text)


def with_deceptive_shown(text: str) -> str:
    """The text with what deceives a reader as ``⟨U+202E⟩``, and the rest as it is."""
    return _DECEPTIVE.sub(_point, text)


def _point(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"
