"""A page as Markdown: headings, paragraphs, lists, tables, code and links."""

from __future__ import annotations

import re

from clawd.tools.web.elements import VOID, left_out
from clawd.tools.web.tokens import End, Start, tokens
from clawd.tools.web.writer import Page, Writer

_ENDS = re.compile(r"</([A-Za-z][^\s/>]*+)")
_MOST_TOKENS = 300_000


def read_page(page: str, url: str, limit: int) -> Page:
    """An HTML page as Markdown of at most about ``limit`` characters; links are absolute."""
    writer = Writer(url)
    # An element that is never closed hides nothing: its name must end somewhere below.
    ends = {match[1].lower(): match.start() for match in _ENDS.finditer(page)}
    hidden, depth = "", 0
    for count, token in enumerate(tokens(page)):
        if writer.size > limit or count > _MOST_TOKENS:
            writer.cut = True
            break
        if hidden:
            if isinstance(token, Start):
                depth += token.name == hidden
            elif isinstance(token, End) and token.name == hidden:
                depth -= 1
                hidden = hidden if depth else ""
        elif isinstance(token, Start) and left_out(token.name, token.attributes):
            if token.name not in VOID and ends.get(token.name, -1) >= token.end:
                hidden, depth = token.name, 1
        else:
            writer.take(token)
    return writer.page()
