"""What elements of a page are: to be read, to be left out, blocks, or void."""

from __future__ import annotations

import re
from collections.abc import Mapping

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())

_LEFT_OUT = frozenset(
    "script style noscript template svg math canvas iframe object audio video nav footer "
    "button select textarea dialog xmp noembed noframes".split()
)
_ROLES = frozenset("navigation contentinfo search menu menubar dialog alertdialog banner".split())
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure "
    "h1 h2 h3 h4 h5 h6 header hgroup hr html li main ol p pre section summary table td th tr ul "
    "caption".split()
)
HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}


def left_out(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element is no part of what a reader of the page reads.

    What a page hides from the eye is left out as well: it is there for machines, and most often to
    tell them what to do.
    """
    return (
        name in _LEFT_OUT
        or "hidden" in attributes
        or attributes.get("aria-hidden", "").lower() == "true"
        or attributes.get("role", "").lower() in _ROLES
        or _INVISIBLE.search(attributes.get("style", "")) is not None
    )


def is_main(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element holds what the page is about."""
    return name == "main" or attributes.get("role", "").lower() == "main"
