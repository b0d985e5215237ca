"""Make text from models, tools, peers and files safe to show on a terminal.

Control sequences are taken out whole, so that nothing of them is left to read as text;
characters that change the reading order or take no room are shown by their code point, because
a human must be able to see that they are there.
"""

from __future__ import annotations

import re
import unicodedata

_SEQUENCES = re.compile(
    r"""
    (?: \x1b\[ | \x9b ) [0-?]* [ -/]* [@-~]?                # CSI: colours, cursor, modes
  | (?: \x1b[\]P^_X] | [\x90\x98\x9d\x9e\x9f] )             # OSC, DCS, PM, APC, SOS ...
    [^\x07\x1b\x9c]* (?: \x07 | \x1b\\ | \x9c | $ )?        # ... up to their terminator
  | \x1b [ -/]* [0-~]?                                      # two-character escapes
    """,
    re.VERBOSE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DECEPTIVE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    # One selector behind a sign chooses how it is drawn; a row of them carries hidden bytes.
    "|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)
"""What changes the reading order, or is there and not seen."""
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """The text without control sequences; bidirectional and zero-width characters as ⟨U+202E⟩.

    Line feeds and tabs stay; a carriage return before a line feed is dropped with it.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _CONTROLS.sub("", _SEQUENCES.sub("", text))
    return _DECEPTIVE.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def one_line(text: str, limit: int | None = None) -> str:
    """The cleaned text on one line, blanks folded, cut to ``limit`` columns with an ellipsis."""
    line = _SPACE.sub(" ", clean(text)).strip()
    return line if limit is None else cut(line, limit)


def escape_json(document: str) -> str:
    """A JSON text in which what a terminal could obey stands as escapes."""
    if document.isascii() and document.isprintable():
        return document

    def escaped(match: re.Match[str]) -> str:
        point = ord(match[0])
        if point < 0x10000:
            return f"\\u{point:04x}"
        point -= 0x10000
        return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"

    return _DECEPTIVE.sub(escaped, _CONTROLS.sub(escaped, document))


def width(text: str) -> int:
    """How many columns the (cleaned, one-line) text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits ``limit`` columns with an ellipsis at the end."""
    if width(text) <= limit:
        return text
    room, kept = max(limit - 1, 0), 0
    for index, character in enumerate(text):
        kept += _columns(character)
        if kept > room:
            return text[:index] + "…"
    return text


def wrapped(text: str, limit: int) -> list[str]:
    """The (cleaned, one-line) text in rows of ``limit`` columns, broken at blanks if possible."""
    rows: list[str] = []
    row = ""
    for word in text.split(" "):
        if width(row) + 1 + width(word) <= limit or not row:
            row = f"{row} {word}" if row else word
        else:
            rows.append(row)
            row = word
        while width(row) > max(limit, 2):
            kept = len(cut(row, max(limit, 2) + 1)) - 1
            rows.append(row[:kept])
            row = row[kept:]
    return [*rows, row]


def _columns(character: str) -> int:
    if unicodedata.combining(character) or character == "\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
