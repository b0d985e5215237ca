"""The name that was probably meant: one search for everything that has a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_READ = 200
"""How many characters of what somebody wrote are looked at."""


def nearest(wanted: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known name that is most like ``wanted``, or nothing.

    Case, ``-`` and ``_`` make no difference; ``cutoff``, from 0 to 1, is how alike they must be.
    """
    by_letters = {_letters(name): name for name in known}
    close = difflib.get_close_matches(_letters(wanted[:_READ]), by_letters, 1, cutoff)
    return by_letters[close[0]] if close else ""


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
