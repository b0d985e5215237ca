"""About how many tokens a text takes, without a tokenizer and without the network."""

from __future__ import annotations

import re

# Scripts without spaces between words: models spend about one token on each character.
_DENSE = re.compile(
    "[\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)


def estimate(text: str) -> int:
    """The estimated number of tokens: one for four bytes, one for each CJK character."""
    if text.isascii():
        return (len(text) + 3) // 4
    dense = len(_DENSE.findall(text))
    rest = len(_DENSE.sub("", text).encode(errors="replace"))
    return dense + (rest + 3) // 4
