"""What a response holds, as text that a model can read."""

from __future__ import annotations

from clawd.net.response import Head, Response
from clawd.tools.web.charset import decoded, visible
from clawd.tools.web.markdown import read_page
from clawd.tools.web.writer import Page

LONGEST = 2 * 1024 * 1024
"""How many characters are made of one page."""

_HTML = ("text/html", "application/xhtml+xml")
_TEXTS = frozenset(
    "application/json application/ld+json application/xml application/javascript "
    "application/x-javascript application/ecmascript application/yaml application/x-yaml "
    "application/toml application/x-sh application/x-ndjson application/jsonl application/sql "
    "application/rtf application/x-www-form-urlencoded message/rfc822".split()
)
_NAMED = {
    "application/pdf": "a PDF document",
    "application/zip": "a ZIP archive",
    "application/gzip": "a packed file",
    "application/octet-stream": "a binary file",
}


def readable(head: Head) -> bool:
    """Whether the body is worth reading, by its type; one without a type may be anything."""
    kind = head.content_type
    return (
        not kind
        or kind in _HTML
        or kind in _TEXTS
        or kind.startswith("text/")
        or kind.endswith(("+json", "+xml", "+yaml"))
    )


def page_of(response: Response) -> Page:
    """The text of a response that was read (takes a while for a large page: use a thread)."""
    head, body = response.head, response.body
    if b"\0" in body[:4096] and not body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return summary(head, len(body))
    text = decoded(body, head.get("content-type"))
    kind = head.content_type
    if kind in _HTML or (not kind and text.lstrip()[:1] == "<"):
        page = read_page(text, head.url, LONGEST)
        # Once more: what is not to be seen may have been written as entities.
        return Page(visible(page.title), visible(page.text), page.cut)
    return Page(text=text)


def summary(head: Head, size: int | None = None) -> Page:
    """What is said of something that is no text."""
    size = head.content_length if size is None else size
    kind = head.content_type[:80]
    what = _NAMED.get(kind) or f"of type {kind!a}" if kind else "no text"
    amount = f", {size} bytes" if size is not None else ""
    return Page(
        text=f"This is {what}{amount}. web_fetch reads web pages, text, JSON and XML; "
        "the content was not read."
    )
