"""Hides quoted text and JSON in a line, so that the words around them can be read by rules."""

from __future__ import annotations

import json
import re
from typing import Any

QUOTED = "\ue000"
OBJECT = "\ue001"
READ = 65_536
"""How many characters of a line are read; what comes after is no instruction."""

_FAILURES = 20
"""After so many braces that begin no object, the others are taken for text."""

_END = "\ue002"
_MARK = re.compile(f"[{QUOTED}{OBJECT}](\\d+){_END}")
_QUOTE = re.compile(
    r'"((?:[^"\\]|\\.)*)"|“([^“”]*)”|«([^«»]*)»|`([^`]*)`|(?<!\w)\'([^\']*)\'(?!\w)', re.DOTALL
)
_ESCAPE = re.compile(r'\\(["\\])')
_RUN = re.compile(r"\s{3,}")
_decoder = json.JSONDecoder()

QUOTE_PATTERN = f"{QUOTED}(\\d+){_END}"
"""A regular expression for one quoted text; its group is for ``Masked.value``."""
OBJECT_PATTERN = f"{OBJECT}(\\d+){_END}"
"""The same for one JSON object."""


class Masked:
    """A line with each quoted text and each JSON object replaced by a mark."""

    def __init__(self, line: str) -> None:
        self._values: list[tuple[Any, str]] = []
        masked = self._mask(re.sub(f"[{QUOTED}-{_END}]", "", line[:READ]))
        # Long runs of white space mean nothing here, and would make some patterns slow.
        self.text = _RUN.sub(lambda run: "\n" if "\n" in run[0] else " ", masked)

    def _mask(self, line: str) -> str:
        out: list[str] = []
        at = failed = 0
        while at < len(line):
            if line[at] == "{" and failed < _FAILURES:
                value, end = _object(line, at)
                failed += end == at
                if end > at:
                    out.append(self._mark(OBJECT, value, line[at:end]))
                    at = end
                    continue
            elif found := _QUOTE.match(line, at):
                inner = next(group for group in found.groups() if group is not None)
                out.append(self._mark(QUOTED, _ESCAPE.sub(r"\1", inner), found[0]))
                at = found.end()
                continue
            out.append(line[at])
            at += 1
        return "".join(out)

    def _mark(self, kind: str, value: Any, raw: str) -> str:
        self._values.append((value, raw))
        return f"{kind}{len(self._values) - 1}{_END}"

    def value(self, number: str) -> Any:
        """What a mark stands for: the text without its quotes, or the object."""
        return self._values[int(number)][0]

    def plain(self, text: str) -> str:
        """A part of the masked text as it was written; the whole of it quoted loses its quotes."""
        text = text.strip()
        if alone := re.fullmatch(QUOTE_PATTERN, text):
            return str(self.value(alone[1]))
        return self.restore(text)

    def restore(self, text: str) -> str:
        """A part of the masked text exactly as it was written."""
        return _MARK.sub(lambda mark: self._values[int(mark[1])][1], text)


def _object(line: str, at: int) -> tuple[Any, int]:
    try:
        value, end = _decoder.raw_decode(line, at)
    except (ValueError, RecursionError):
        return None, at
    return value, end
