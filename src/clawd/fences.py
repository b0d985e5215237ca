"""Text of others on its way to a model: fenced as data, or quoted on one line.

Everything that a session did not get from its human stands inside a fence, or inside a JSON
string, under a head that the daemon wrote. Nothing in the text can end either.
"""

from __future__ import annotations

import functools
import unicodedata

from clawd.ids import OPERATOR
from clawd.lineage import Lineage, Origin

SHOWN = 300
"""How many characters of a description or a task stand in a list."""

_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""What is not seen, or changes the order of what is: controls, marks, separators, surrogates."""


def fenced(token: str, content: str) -> str:
    """Content between ``<<<token`` and ``token>>>``; nothing inside can end the fence.

    The token is an id with 80 random bits that is given after the content was written. Should the
    content know it all the same, as after an edit of the file, its end of a fence is defused.
    """
    harmless = content.replace(f"{token}>>>", f"{token}> > >")
    return f"<<<{token}\n{harmless}\n{token}>>>"


@functools.lru_cache(maxsize=4096)
def quoted(text: str, limit: int = SHOWN) -> str:
    """A text on one line in quotes, which it cannot end; cut, with what is invisible escaped."""
    line = " ".join(text.split())
    shown = line if len(line) <= limit else line[: limit - 1] + "…"
    return f'"{escaped(shown, "")}"'


def escaped(text: str, also: str) -> str:
    r"""The text with quotes, backslashes, all that is invisible and ``also`` as ``\uXXXX``."""
    if text.isprintable() and not any(c in text for c in f'"\\{also}'):
        return text
    return "".join(
        f"\\u{ord(c):04x}" if c in '"\\' or c in also or unicodedata.category(c) in _ESCAPED else c
        for c in text
    )


def origin_of(lineage: Lineage | None) -> Origin:
    """Where a text comes from; without a lineage (a file of another system) it is ``external``."""
    return lineage.origin if lineage is not None else "external"


def from_whom(sender: str, lineage: Lineage | None) -> str:
    """Who a block is from, as its head says it.

    Only what the daemon itself stamped as the operator's passes for the human: a text that a
    session relays does not, nor does a line without a lineage in a file.
    """
    origin = origin_of(lineage)
    if sender == OPERATOR and origin == "operator":
        return "your human, the operator"
    return f'session "{sender}", origin {origin}'
