"""Lines and Markdown blocks as terminal text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from clawd.cli.chat.lines import Line
from clawd.cli.clean import clean, cut, width
from clawd.cli.output import fitted, in_rows, styled

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.markdown import Markdown

CODE_THEME = "ansi_dark"
"""The terminal's own sixteen colours: readable on whatever background somebody chose."""


class Renderer:
    """Makes text for a terminal of a given width, coloured or not."""

    def __init__(self, *, colour: bool, plain: bool) -> None:
        self.colour = colour
        self.plain = plain

    def line(self, line: Line, columns: int) -> str:
        """One line, without its line feed; what it quotes is cut to make it fit the terminal.

        What does not fit all the same goes on in further rows, broken between words.
        """
        rows = in_rows(fitted(line, columns), columns)
        return "\n".join(styled(row, self.colour) for row in rows)

    def block(self, block: str, columns: int) -> str:
        """A finished Markdown block; with ``--plain`` the text as it came."""
        text = clean(block)
        if self.plain:
            return text
        # rich is imported with the first block, not with the prompt.
        from rich.segment import Segment, Segments

        written = io.StringIO()
        console = self._console(written, min(columns, 120))
        markdown = _markdown()(text, code_theme=CODE_THEME, hyperlinks=False)
        # An entity such as &#27; becomes a control character only now: so it is cleaned now.
        segments = [
            Segment(clean(segment.text), segment.style)
            for segment in console.render(markdown)
            if not segment.control
        ]
        console.print(Segments(segments), end="")
        rows = [row.rstrip() for row in written.getvalue().splitlines()]
        return "\n".join(_without_blank_ends(rows))

    def _console(self, file: io.StringIO, columns: int) -> Console:
        from rich.console import Console

        return Console(
            file=file,
            width=columns,
            force_terminal=self.colour,
            color_system="standard" if self.colour else None,
            no_color=not self.colour,
            legacy_windows=False,
            emoji=False,
            highlight=False,
            markup=False,
        )


@cache
def _markdown() -> type[Markdown]:
    from rich.markdown import Heading, Markdown
    from rich.text import Text

    class LeftHeading(Heading):
        """A heading where the eye is: rich's own stand in the middle or in a box."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            yield Text.assemble(("#" * int(self.tag[1:]) + " ", "dim"), self.text, style="bold")

    class LeftMarkdown(Markdown):
        elements: ClassVar = {**Markdown.elements, "heading_open": LeftHeading}

    return LeftMarkdown


def _without_blank_ends(rows: list[str]) -> list[str]:
    full = [index for index, row in enumerate(rows) if clean(row).strip()]
    return rows[full[0] : full[-1] + 1] if full else []


def last_rows(text: str, columns: int, rows: int) -> list[str]:
    """The last rows that a plain text takes on a terminal of this width."""
    wrapped: list[str] = []
    for line in clean(text).expandtabs(4).split("\n")[-rows:]:
        wrapped += _wrap(line, columns)
    return wrapped[-rows:]


def _wrap(line: str, columns: int) -> Iterable[str]:
    columns = max(columns, 2)
    while width(line) > columns:
        kept = len(cut(line, columns + 1)) - 1
        yield line[:kept]
        line = line[kept:]
    yield line
