"""What a command writes: one answer on stdout, everything else on stderr.

Every text passes through ``clean`` on its way out, so that a command cannot forget it; styles are
given beside the text, never inside it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TextIO

from clawd.cli.clean import clean, cut, escape_json, one_line, width, wrapped
from clawd.errors import ClawdError

JSON = dict[str, Any]
Styled = tuple[str, str]
"""A text and the name of its style."""

_SHORTEST_QUOTE = 12
_NARROWEST = 20
_STYLES = {
    "": "", "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34",
    "cyan": "36", "quote": "", "quote dim": "2",
}  # fmt: skip


def wants_colour(stream: TextIO, *, plain: bool = False, no_color: bool = False) -> bool:
    """Whether this stream is to be coloured, by the options, the environment and what it is."""
    if plain or no_color or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


class Output:
    """The two streams of one command."""

    def __init__(
        self, *, as_json: bool, quiet: bool, verbose: bool, plain: bool, no_color: bool
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.plain = plain
        self.colour = wants_colour(sys.stdout, plain=plain, no_color=no_color)
        self.colour_errors = wants_colour(sys.stderr, plain=plain, no_color=no_color)

    @property
    def columns(self) -> int | None:
        """How wide a line may be; None when stdout is not a terminal and nothing is cut."""
        if sys.stdout.isatty() or os.environ.get("COLUMNS"):
            return shutil.get_terminal_size().columns
        return None

    def document(self, document: JSON) -> None:
        """One JSON document on one line."""
        print(escape_json(json.dumps(document, ensure_ascii=False)), flush=True)

    def raw(self, text: str) -> None:
        """A text that a program wrote for a program, such as a completion script."""
        print(text, end="" if text.endswith("\n") else "\n", flush=True)

    def line(self, *parts: str | Styled) -> None:
        """One line (or more, when a text has several) on stdout."""
        print(styled(parts, self.colour), flush=True)

    def note(self, *parts: str | Styled) -> None:
        """A diagnostic on stderr, unless ``-q``."""
        if not self.quiet:
            print(styled(parts, self.colour_errors), file=sys.stderr, flush=True)

    def detail(self, *parts: str | Styled) -> None:
        """A diagnostic on stderr for ``-v`` alone."""
        if self.verbose:
            self.note(*parts)

    def error(self, problem: ClawdError) -> None:
        """The error: the envelope on stdout with ``--json``, else sentence and mend on stderr."""
        if self.as_json:
            fields = {"code": problem.code, "message": problem.message, "hint": problem.hint}
            self.document({"schema": "clawd.error/1", "error": fields | problem.facts})
            return
        print(styled((("clawd: ", "red"), problem.message), self.colour_errors), file=sys.stderr)
        if problem.hint:
            print(styled((f"  {problem.hint}",), self.colour_errors), file=sys.stderr)

    def facts(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Named values, one a line, the names aligned; empty values are left out."""
        shown = [(name, text) for name, value in pairs if (text := _cell(value)) != ""]
        room = max((width(name) for name, _ in shown), default=0)
        for name, text in shown:
            self.line((name + " " * (room - width(name)), "dim"), "  " + text)

    def table(
        self,
        titles: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        flexible: int = -1,
        right: Collection[int] = (),
    ) -> None:
        """Aligned columns; on a narrow terminal the ``flexible`` column is cut, never an id.

        Where not even that makes room, a row is its first cell with the others below it. Those in
        ``right`` hold numbers, and stand under each other by their last figure.

        With ``--plain`` each row is one line of ``title: value`` facts.
        """
        cells = [[one_line(_cell(value)) for value in row] for row in rows]
        if self.plain:
            for row in cells:
                pairs = zip(titles, row, strict=True)
                self.line(", ".join(f"{title}: {text}" for title, text in pairs if text))
            return
        flexible %= len(titles)
        rooms = [
            max([width(title), *(width(row[index]) for row in cells)])
            for index, title in enumerate(titles)
        ]
        if self.columns is not None:
            over = _needed(rooms) - self.columns
            if over > 0:
                rooms = _without_empty(rooms, cells, flexible)
                over = _needed(rooms) - self.columns
            rooms[flexible] -= max(over, 0)
            if rooms[flexible] < width(titles[flexible]):
                # Not even its title has room: the column is left out.
                rooms[flexible] = 0
            if _needed(rooms) > self.columns:
                self._stacked(titles, cells, flexible, self.columns)
                return
        self.line((_row(titles, rooms, right).upper(), "dim"))
        for row in cells:
            self.line(_row(row, rooms, right))

    def _stacked(
        self, titles: Sequence[str], cells: Sequence[Sequence[str]], flexible: int, columns: int
    ) -> None:
        for row in cells:
            for text in wrapped(row[0], columns):
                self.line((text, "bold"))
            below = [
                cell if index == flexible else f"{titles[index]} {cell}"
                for index, cell in enumerate(row)
                if index and cell and titles[index]
            ]
            for text in wrapped(" · ".join(below), columns - 2) if below else ():
                self.line(f"  {text}")


def _needed(rooms: Sequence[int]) -> int:
    shown = [room for room in rooms if room]
    return sum(shown) + 2 * (len(shown) - 1)


def _without_empty(
    rooms: Sequence[int], cells: Sequence[Sequence[str]], flexible: int
) -> list[int]:
    """The rooms, none for a column in which nothing stands."""
    return [
        room if index == flexible or any(row[index] for row in cells) else 0
        for index, room in enumerate(rooms)
    ]


def fitted(parts: Sequence[Styled], columns: int) -> list[Styled]:
    """The parts on one row of so many columns, as far as cutting those styled "quote" does it."""
    over = sum(width(clean(text)) for text, _ in parts) - columns
    shown = []
    for text, style in parts:
        if over > 0 and style.startswith("quote"):
            whole = clean(text)
            text = cut(whole, max(width(whole) - over, _SHORTEST_QUOTE))
            over -= width(whole) - width(text)
        shown.append((text, style))
    return shown


def in_rows(parts: Sequence[Styled], columns: int) -> list[list[Styled]]:
    """The parts in rows of so many columns, broken at blanks; further rows begin with two."""
    whole = "".join(clean(text) for text, _ in parts)
    if width(whole) <= columns or "\n" in whole or columns < _NARROWEST:
        return [list(parts)]
    rows: list[list[Styled]] = []
    left = [(clean(text), style) for text, style in parts]
    for row in _broken(whole, columns):
        taken: list[Styled] = [("  ", "")] if rows else []
        missing = len(row)
        while missing:
            text, style = left[0]
            taken.append((text[:missing], style))
            left[0] = (text[missing:], style)
            missing -= len(taken[-1][0])
            if not left[0][0]:
                del left[0]
        rows.append(taken)
    return rows


def _broken(whole: str, columns: int) -> list[str]:
    """The text in parts that fill rows, every character of it in one of them."""
    rows: list[str] = []
    room = columns
    while width(whole) > room:
        most = len(cut(whole, room + 1)) - 1
        blank = whole.rfind(" ", 0, most + 1)
        # A word that fills half a row by itself is broken where the row ends.
        at = blank + 1 if blank > most // 2 else most
        rows.append(whole[:at])
        whole, room = whole[at:], columns - 2
    return [*rows, whole] if whole else rows


def styled(parts: Iterable[str | Styled], colour: bool) -> str:
    """The cleaned texts in a row, each in its style where there is colour."""
    texts = []
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        text = clean(text)
        code = _STYLES[style] if colour else ""
        texts.append(f"\x1b[{code}m{text}\x1b[0m" if code and text else text)
    return "".join(texts)


def _row(cells: Sequence[str], rooms: Sequence[int], right: Collection[int]) -> str:
    padded = []
    for index, (cell, room) in enumerate(zip(cells, rooms, strict=True)):
        text = cut(cell, room) if room else ""
        space = " " * (room - width(text))
        if room:
            padded.append(space + text if index in right else text + space)
    return "  ".join(padded).rstrip()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(entry) for entry in value)
    return str(value)
