"""What an edit changed, as a short unified diff.

Made from the places of the edit: to compare two whole texts line by line can take minutes.
"""

from __future__ import annotations

import difflib

MAX_HUNKS = 5
MAX_LINES = 60
"""Lines of a hunk that are shown."""
MAX_LINE = 300
_AROUND = 3
_TOGETHER = 100
"""Lines up to which neighbouring places are one hunk, and are compared line by line."""


def unified(text: str, old: str, new: str) -> str:
    """The first places where every ``old`` became ``new`` in ``text``, with lines around each."""
    hunks: list[str] = []
    at = text.find(old)
    moved = number = counted = 0
    while at >= 0:
        if len(hunks) == MAX_HUNKS:
            return "\n".join([*hunks, f"… and {text.count(old, at)} more"])
        start, stop = _place(text, at, old)
        number += text.count("\n", counted, start)
        counted = start
        gone = text[start:stop].split("\n")
        came = text[start:stop].replace(old, new).split("\n")
        hunks.append(_hunk(number + 1, moved, _above(text, start), gone, came, _below(text, stop)))
        moved += len(came) - len(gone)
        at = text.find(old, stop)
    return "\n".join(hunks)


def _place(text: str, at: int, old: str) -> tuple[int, int]:
    """The whole lines of a match and of those that follow closely, from start to end."""
    start = text.rfind("\n", 0, at) + 1
    lines = 0
    while True:
        end = at + len(old)
        stop = text.find("\n", end)
        stop = len(text) if stop < 0 else stop
        lines += text.count("\n", at, stop) + 1
        close = _down(text, stop, 2 * _AROUND if lines < _TOGETHER else 0)
        at = text.find(old, end)
        if not 0 <= at < max(close, stop):
            return start, stop


def _down(text: str, at: int, lines: int) -> int:
    """Where so many lines below end."""
    for _ in range(lines):
        found = text.find("\n", at + 1)
        at = len(text) if found < 0 else found
    return at


def _above(text: str, start: int) -> list[str]:
    at = start
    for _ in range(_AROUND):
        at = text.rfind("\n", 0, max(at - 1, 0)) + 1
    return text[at:start].split("\n")[:-1]


def _below(text: str, stop: int) -> list[str]:
    end = _down(text, stop, _AROUND)
    return text[stop + 1 : end].removesuffix("\n").split("\n") if stop + 1 < len(text) else []


def _hunk(
    first: int, moved: int, before: list[str], gone: list[str], came: list[str], after: list[str]
) -> str:
    """One place; ``first`` is the line of the first in ``gone``."""
    # Whole lines that stay are no change.
    while gone and came and gone[-1] == came[-1]:
        after = [*gone[-1:], *after][:_AROUND]
        gone, came = gone[:-1], came[:-1]
    stay = next((n for n, (a, b) in enumerate(zip(gone, came, strict=False)) if a != b), None)
    stay = min(len(gone), len(came)) if stay is None else stay
    before, gone, came = [*before, *gone[:stay]][-_AROUND:], gone[stay:], came[stay:]
    start, around = first + stay - len(before), len(before) + len(after)
    head = f"@@ -{start},{around + len(gone)} +{start + moved},{around + len(came)} @@"
    lines = [f" {line}" for line in before]
    lines += _changes(gone, came)
    lines += [f" {line}" for line in after]
    shown = [_cut(line) for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(f"… {len(lines) - MAX_LINES} more lines")
    return "\n".join([head, *shown])


def _changes(gone: list[str], came: list[str]) -> list[str]:
    if max(len(gone), len(came)) <= 2 * _TOGETHER:
        compared = difflib.unified_diff(gone, came, n=len(gone) + len(came), lineterm="")
        if lines := list(compared)[3:]:
            return lines
    return [f"-{line}" for line in gone] + [f"+{line}" for line in came]


def _cut(line: str) -> str:
    line = line.removesuffix("\r").encode(errors="replace").decode()
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…"
