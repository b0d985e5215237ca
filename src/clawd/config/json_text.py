"""JSON as people write it: comments and trailing commas, with the place of every value.

Where a mistake leaves no doubt about what follows, the reader notes it and goes on, so that one
look shows several. At any other it stops: what it would guess from there on would accuse what is
right. What it found is never repeated in a message, since it may be part of a key; one character of
it at most.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, NoReturn

from clawd.config.problem import Path, dotted

MAX_DEPTH = 64
_MAX_MISTAKES = 50

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_PLAIN_STRING = re.compile(r'"([^"\\\x00-\x1f]*)"')
_STRING = re.compile(r'"(?:[^"\\\n\r]|\\[^\n\r])*"')
_QUOTED_OTHERWISE = re.compile(r"'((?:[^'\\\n\r]|\\[^\n\r])*)'")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9A-Za-z_.+-])")
_WORD = re.compile(r"[A-Za-z0-9_$+.-]+")
_NESTING = re.compile(r'"(?:[^"\\\n\r]|\\[^\n\r])*"?|//[^\n]*|/\*.*?\*/|[\[{\]}]', re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None}
_OTHER_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null"}
_NOT_FINITE = {"NaN", "Infinity", "-Infinity", "+Infinity"}
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Mistake:
    """What is wrong with the text at an offset (in characters)."""

    offset: int
    path: Path
    message: str
    hint: str = ""


@dataclass
class Document:
    """A text that was read: its value, the offset of each value's key, and the mistakes.

    ``broken`` says that the text was not read to its end, and there is no value.
    """

    text: str
    value: Any = None
    places: dict[Path, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    broken: bool = False

    def __post_init__(self) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", self.text))]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """The place of an offset, both counted from 1; a column is one character."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of the nearest part of ``path`` that is in the text."""
        while path not in self.places and path:
            path = path[:-1]
        return self.line_and_column(self.places.get(path, 0))


def read_json(text: str) -> Document:
    """Read a text; never raises for what it holds."""
    reader = _Reader(text)
    reader.read()
    return reader.document


class _Stop(Exception):
    """There are too many mistakes, or one after which nothing can be relied on."""


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.document = Document(text)

    def read(self) -> None:
        try:
            self._skip()
            self.document.places[()] = self.at
            self.document.value = self._value((), 0)
            self._skip()
            if self.at < len(self.text):
                self._stop((), f"expected the end of the file ({self._found()})")
        except _Stop:
            self.document.broken = True

    def _value(self, path: Path, depth: int) -> Any:
        at = self.at
        character = self.text[at : at + 1]
        if character == '"':
            return self._string(path)
        if character == "{" or character == "[":
            if depth >= MAX_DEPTH:
                return self._too_deep(path)
            self.at += 1
            return self._object(path, depth) if character == "{" else self._list(path, depth)
        match = _NUMBER.match(self.text, at)
        if match:
            self.at = match.end()
            return self._number(match, path)
        word = _WORD.match(self.text, at)
        if word:
            self.at = word.end()
            return self._word(word.group(), at, path)
        if character == "'":
            return self._single_quoted(path)
        if character or not path:
            self._stop(path, f"expected a value ({self._found()})")
        return None

    def _object(self, path: Path, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        opened = self.at - 1
        while True:
            self._skip()
            if self._take("}"):
                return members
            if self.at >= len(self.text):
                self._unclosed(path, opened, "}")
            at = self.at
            key = self._key(path)
            self._skip()
            if self.at < len(self.text) and not self._take(":"):
                # It need not be a key then: what is shown of it is nothing.
                self._stop(path, f"expected ':' after the key ({self._found()})")
            inner = (*path, key)
            if key in members:
                self._duplicate(path, key, at)
            self.document.places[inner] = at
            self._skip()
            members[key] = self._value(inner, depth + 1)
            self._separator(path, opened, "}")

    def _list(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        opened = self.at - 1
        while True:
            self._skip()
            if self._take("]"):
                return items
            if self.at >= len(self.text):
                self._unclosed(path, opened, "]")
            if self.text[self.at] == "}":
                self._stop(path, "expected ']' (found '}')")
            inner = (*path, len(items))
            self.document.places[inner] = self.at
            items.append(self._value(inner, depth + 1))
            self._separator(path, opened, "]")

    def _separator(self, path: Path, opened: int, closing: str) -> None:
        self._skip()
        if self._take(",") or self.text.startswith(("}", "]"), self.at):
            return
        if self.at >= len(self.text):
            self._unclosed(path, opened, closing)
        self._stop(path, f"expected ',' or '{closing}' ({self._found()})")

    def _key(self, path: Path) -> str:
        character = self.text[self.at]
        if character == '"':
            return self._string(path)
        if character == "'":
            return self._single_quoted(path)
        word = _WORD.match(self.text, self.at)
        if word is None:
            self._stop(path, f"expected a key in double quotes ({self._found()})")
        self._mistake(path, f"expected a key in double quotes ({self._found()})")
        self.at = word.end()
        return word.group()

    def _string(self, path: Path) -> str:
        match = _PLAIN_STRING.match(self.text, self.at)
        if match:
            self.at = match.end()
            return match.group(1)
        at = self.at
        match = _STRING.match(self.text, at)
        if match is None:
            self._stop(path, "the text is not closed with a double quote on its line")
        self.at = match.end()
        try:
            value: str = json.loads(match.group())
        except json.JSONDecodeError as error:
            control = "control" in error.msg
            self._mistake(
                path,
                "a control character must be escaped in text"
                if control
                else "unknown escape in text",
                hint="Write \\t for a tab" if control else "Write \\\\ for a backslash",
                at=at + error.pos,
            )
            return ""
        if _SURROGATE.search(value):
            self._mistake(path, "the text holds half of a surrogate pair", at=at)
            return ""
        return value

    def _single_quoted(self, path: Path) -> str:
        match = _QUOTED_OTHERWISE.match(self.text, self.at)
        if match is None:
            self._stop(path, "expected double quotes (found a single quote)")
        self._mistake(path, "expected double quotes (found a single quote)")
        self.at = match.end()
        return match.group(1)

    def _number(self, match: re.Match[str], path: Path) -> int | float | None:
        if match.group(1) is None and match.group(2) is None:
            if len(match.group()) <= 300:
                return int(match.group())
        else:
            value = float(match.group())
            if math.isfinite(value):
                return value
        self._mistake(path, "the number is too large", at=match.start())
        return None

    def _word(self, word: str, at: int, path: Path) -> bool | None:
        if word in _WORDS:
            return _WORDS[word]
        if word in _NOT_FINITE:
            self._mistake(path, f"{word} is not a number in JSON", at=at)
        elif word in _OTHER_WORDS:
            self._mistake(path, f"unknown word {word}", f"Write {_OTHER_WORDS[word]}", at)
        elif word[0].isdigit() or word[0] in "+-.":
            self._mistake(path, "malformed number", at=at)
        else:
            self._mistake(path, "expected text in double quotes", at=at)
        return None

    def _duplicate(self, path: Path, key: str, at: int) -> None:
        first = self.document.line_and_column(self.document.places[(*path, key)])[0]
        again = self.document.line_and_column(at)[0]
        lines = f"lines {first} and {again}" if first != again else f"line {first}"
        where = dotted(path) or "the top level"
        self._mistake(
            (*path, key),
            f"key {json.dumps(key)} appears twice in {where} ({lines})",
            "Keep one of them",
            at,
        )

    def _too_deep(self, path: Path) -> None:
        self._mistake(path[:4], f"nested deeper than {MAX_DEPTH} levels")
        depth = 0
        for match in _NESTING.finditer(self.text, self.at):
            depth += (match.group() in "[{") - (match.group() in "]}")
            if depth == 0:
                self.at = match.end()
                return
        raise _Stop

    def _unclosed(self, path: Path, opened: int, closing: str) -> NoReturn:
        line, column = self.document.line_and_column(opened)
        self._stop(
            path,
            f"the file ends before '{closing}' (opened at {line}:{column})",
            "It may have been saved halfway",
        )

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        if match:
            self.at = match.end()
        if self.text.startswith("/*", self.at):
            self._stop((), "the comment is not closed with */")

    def _take(self, character: str) -> bool:
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False

    def _found(self) -> str:
        character = self.text[self.at : self.at + 1]
        return f"found {character!a}" if character else "the file ends here"

    def _mistake(self, path: Path, message: str, hint: str = "", at: int | None = None) -> None:
        """Note a mistake that leaves no doubt about the rest of the document."""
        self.document.mistakes.append(Mistake(self.at if at is None else at, path, message, hint))
        if len(self.document.mistakes) >= _MAX_MISTAKES:
            raise _Stop

    def _stop(self, path: Path, message: str, hint: str = "") -> NoReturn:
        """Note a mistake after which everything would be a guess, and read no further."""
        self._mistake(path, message, hint)
        raise _Stop
