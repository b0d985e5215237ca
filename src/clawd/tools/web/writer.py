"""Markdown, written from the tags and the text of a page as they come."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urljoin

from clawd.tools.web.elements import BLOCKS, HEADINGS, is_main
from clawd.tools.web.tables import Table
from clawd.tools.web.tokens import Start, Text, Token

LONGEST_LINK = 500
"""Longer addresses, of trackers most of all, are left out; their words stay."""

_BREAK = "\0"
_DEEPEST = 6
_ENOUGH = 200
"""So many characters in `main` are the page, and what is around them is not."""


@dataclass(slots=True)
class Page:
    """What was read of a page; ``cut`` when it grew beyond the limit."""

    title: str = ""
    text: str = ""
    cut: bool = False


@dataclass(slots=True)
class Block:
    """One paragraph, heading, item, table or piece of code."""

    text: str
    main: bool
    item: bool = False


@dataclass(slots=True)
class _Open:
    """A table that is open, and the paragraph that it interrupted."""

    table: Table
    outside: list[str]
    inside: bool = False


@dataclass(slots=True)
class Writer:
    """Takes a page's tokens one by one; ``size`` is about how many characters it has so far."""

    base: str
    size: int = 0
    cut: bool = False
    title: str = ""
    blocks: list[Block] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    prefix: str = ""
    """What the next block begins with: a heading's or an item's mark."""
    lists: list[int] = field(default_factory=list)
    """The open lists: the number of the next item, 0 for one without numbers."""
    quotes: int = 0
    code: int = 0
    main: int = 0
    in_title: bool = False
    link: tuple[str, int] | None = None
    tables: list[_Open] = field(default_factory=list)
    too_deep: int = 0
    """Tables in tables beyond what anyone reads: their cells are those of the one around them."""

    def take(self, token: Token) -> None:
        """The next token of the page."""
        if isinstance(token, Text):
            self._text(token.text)
        elif isinstance(token, Start):
            self._start(token.name, token.attributes)
        else:
            self._end(token.name)

    def page(self) -> Page:
        """All that was taken, the main part alone when the page says which it is."""
        self.too_deep = 0
        while self.tables:
            self._end_table()
        self._flush()
        main = [block for block in self.blocks if block.main]
        if sum(len(block.text) for block in main) < _ENOUGH:
            main = self.blocks
        parts: list[str] = []
        for before, block in zip([None, *main], main, strict=False):
            if parts:
                parts.append("\n" if before and before.item and block.item else "\n\n")
            parts.append(block.text)
        return Page(" ".join(self.title.split()), "".join(parts), self.cut)

    def _text(self, text: str) -> None:
        if self.in_title:
            self.title = self.title or text
            return
        if not self.code:
            spaced = " ".join(text.split())
            # A space between two elements counts, however it is written.
            text = (
                f"{' ' * text[:1].isspace()}{spaced}{' ' * (bool(spaced) and text[-1:].isspace())}"
            )
        self.line.append(text)
        self.size += len(text)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in BLOCKS:
            self._flush()
        if is_main(name, attributes):
            self.main += 1
        self.prefix = HEADINGS.get(name, self.prefix)
        if (opens := self._OPENS.get(name)) is not None:
            opens(self, attributes)

    def _end(self, name: str) -> None:
        if name in BLOCKS:
            self._flush()
        if (closes := self._CLOSES.get(name)) is not None:
            closes(self)
        if name in HEADINGS or name in ("li", "dt", "dd"):
            self.prefix = ""

    def _title(self, _attributes: dict[str, str]) -> None:
        self.in_title = not self.title

    def _end_title(self) -> None:
        self.in_title = False

    def _end_main(self) -> None:
        self.main = max(0, self.main - 1)

    def _base(self, attributes: dict[str, str]) -> None:
        self.base = self._absolute(attributes.get("href", "")) or self.base

    def _break(self, _attributes: dict[str, str]) -> None:
        self.line.append("\n" if self.code else _BREAK)

    def _rule(self, _attributes: dict[str, str]) -> None:
        self._add("---")

    def _image(self, attributes: dict[str, str]) -> None:
        if alt := " ".join(attributes.get("alt", "").split()):
            self._text(f"[image: {alt}]")

    def _link(self, attributes: dict[str, str]) -> None:
        self._end_link()
        self.link = (attributes.get("href", ""), len(self.line))

    def _code(self, _attributes: dict[str, str]) -> None:
        self._end_code()

    def _end_code(self) -> None:
        if not self.code:
            self.line.append("`")

    def _pre(self, _attributes: dict[str, str]) -> None:
        self.code += 1

    def _end_pre(self) -> None:
        self.code = max(0, self.code - 1)

    def _bullets(self, _attributes: dict[str, str]) -> None:
        self.lists.append(0)

    def _numbers(self, _attributes: dict[str, str]) -> None:
        self.lists.append(1)

    def _end_list(self) -> None:
        del self.lists[-1:]

    def _quote(self, _attributes: dict[str, str]) -> None:
        self.quotes += 1

    def _end_quote(self) -> None:
        self.quotes = max(0, self.quotes - 1)

    def _item(self, _attributes: dict[str, str]) -> None:
        if self.lists and self.lists[-1]:
            self.prefix = f"{self._indent()}{self.lists[-1]}. "
            self.lists[-1] += 1
        else:
            self.prefix = f"{self._indent()}- "

    def _term(self, _attributes: dict[str, str]) -> None:
        self.prefix = self._indent()

    def _indent(self) -> str:
        return "  " * min(max(len(self.lists) - 1, 0), _DEEPEST)

    def _table(self, _attributes: dict[str, str]) -> None:
        if len(self.tables) >= _DEEPEST:
            self.too_deep += 1
        else:
            self.tables.append(_Open(Table(), self.line))
            self.line = []

    def _end_table(self) -> None:
        if self.too_deep:
            self.too_deep -= 1
        elif self.tables:
            self._end_cell()
            ended = self.tables.pop()
            self.line = ended.outside
            text = ended.table.text()
            if self.tables:
                self.line.append(f" {' '.join(text.split())} ")
            elif text:
                self._flush()
                self._add(text)

    def _end_caption(self) -> None:
        if self.tables and not self.tables[-1].inside:
            self.tables[-1].outside.extend(self.line)
            self.line = []

    def _row(self, _attributes: dict[str, str]) -> None:
        if self.tables:
            self._end_cell()
            self.tables[-1].table.row()

    def _cell(self, _attributes: dict[str, str]) -> None:
        if self.tables:
            self._end_cell()
            self.line, self.tables[-1].inside = [], True

    def _end_cell(self) -> None:
        if self.tables and self.tables[-1].inside:
            self._end_link()
            self.tables[-1].table.cell("".join(self.line).replace(_BREAK, " "))
            self.line, self.tables[-1].inside = [], False

    def _end_link(self) -> None:
        if self.link is None:
            return
        href, begin = self.link
        self.link = None
        words = " ".join("".join(self.line[begin:]).replace(_BREAK, " ").split())
        if not words:
            return
        address = self._absolute(href)
        spaces = "".join(self.line[begin:])
        shown = f"[{words}]({address})" if address and address != words else words
        self.line[begin:] = [f"{' ' * spaces[:1].isspace()}{shown}{' ' * spaces[-1:].isspace()}"]
        self.size += len(shown) - len(words)

    def _absolute(self, href: str) -> str:
        """The address that a link leads to; "" for one that nothing can be fetched from."""
        href = href.strip()
        if not href or href.startswith("#") or len(href) > LONGEST_LINK:
            return ""
        try:
            address = urljoin(self.base, href)
        except ValueError:
            return ""
        if len(address) > LONGEST_LINK or not address.startswith(
            ("http://", "https://", "mailto:")
        ):
            return ""
        return re.sub(r"[\s()<>\0]", lambda match: f"%{ord(match[0]) & 0xFF:02X}", address)

    def _flush(self) -> None:
        """The paragraph so far is a block; in a cell of a table it only ends a line."""
        self._end_link()
        if self.tables:
            self.line.append(" ")
            return
        text, self.line = "".join(self.line), []
        if self.code:
            if text.strip():
                body = text.replace(_BREAK, "\n").strip("\n")
                self._add(f"```\n{body}\n```")
            return
        lines = (" ".join(line.split()) for line in text.split(_BREAK))
        text = "\n".join(line for line in lines if line)
        if text.strip("`"):
            item = bool(self.prefix) and not self.prefix.startswith("#")
            self._add(f"{self.prefix}{text}", item=item)
            self.prefix = "  " * (item and len(self.lists) > 0) if item else ""

    def _add(self, text: str, *, item: bool = False) -> None:
        if self.quotes:
            mark = "> " * min(self.quotes, _DEEPEST)
            text = "\n".join(f"{mark}{line}" for line in text.split("\n"))
            self.size += len(mark) * (text.count("\n") + 1)
        self.size += len(self.prefix) + 2
        self.blocks.append(Block(text, self.main > 0, item))

    _OPENS: ClassVar[dict[str, Callable[[Writer, dict[str, str]], None]]] = {
        "title": _title,
        "base": _base,
        "br": _break,
        "hr": _rule,
        "img": _image,
        "a": _link,
        "code": _code,
        "pre": _pre,
        "ul": _bullets,
        "ol": _numbers,
        "blockquote": _quote,
        "li": _item,
        "dd": _item,
        "dt": _term,
        "table": _table,
        "tr": _row,
        "td": _cell,
        "th": _cell,
    }
    _CLOSES: ClassVar[dict[str, Callable[[Writer], None]]] = {
        "title": _end_title,
        "main": _end_main,
        "a": _end_link,
        "code": _end_code,
        "pre": _end_pre,
        "ul": _end_list,
        "ol": _end_list,
        "blockquote": _end_quote,
        "td": _end_cell,
        "th": _end_cell,
        "caption": _end_caption,
        "table": _end_table,
    }
