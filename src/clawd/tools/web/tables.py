"""Tables of a page as Markdown."""

from __future__ import annotations

MOST_COLUMNS = 64


class Table:
    """Rows that are being filled; ``text`` is what became of them."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = []

    def row(self) -> None:
        """A new row begins."""
        self._rows.append([])

    def cell(self, text: str) -> None:
        """The next cell of the row."""
        if not self._rows:
            self.row()
        if len(self._rows[-1]) < MOST_COLUMNS:
            self._rows[-1].append(" ".join(text.split()).replace("|", "\\|"))

    def text(self) -> str:
        """The table; a single column, as pages are laid out with, is plain paragraphs."""
        rows = [row for row in self._rows if any(row)]
        width = max((len(row) for row in rows), default=0)
        if width <= 1:
            return "\n\n".join(row[0].replace("\\|", "|") for row in rows)
        lines = [_line([*row, *[""] * (width - len(row))]) for row in rows]
        return "\n".join((lines[0], _line(["---"] * width), *lines[1:]))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
