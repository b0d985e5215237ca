"""Bytes of a page to text, in the character set that it says or that fits."""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(
    rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE
)
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_KNOWN = re.compile(
    r"utf-?8|utf-?16(-?[lb]e)?|us-ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|(windows|cp)-?125\d"
    r"|koi8-[ru]|shift[_-]?jis|sjis|euc-?(jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5(-hkscs)?"
    r"|mac(intosh|-?roman)?|(ibm|cp)-?866|tis-?620|windows-874",
    re.IGNORECASE,
)
"""Not any name that Python knows: some of its codecs take a time that grows with the square."""
_WESTERN = re.compile(r"us-ascii|ascii|latin-?1|iso-?8859-?1", re.IGNORECASE)
_NAMES = {"windows-874": "cp874", "macintosh": "mac-roman", "mac": "mac-roman"}

_UNSEEN = re.compile(
    # Controls but for line breaks and tabs, marks that turn text around, tags that nobody sees.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\u202a-\u202e\u2066-\u2069"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def decoded(body: bytes, content_type: str) -> str:
    """The text of a body; what cannot be read is ``�``, what cannot be seen is left out.

    A byte order mark says what it is, then the ``Content-Type`` header, then a ``meta`` element;
    else it is UTF-8 where that fits, and Windows-1252 where not.
    """
    text = _decoded(body, content_type).replace("\r\n", "\n").replace("\r", "\n")
    return visible(text)


def visible(text: str) -> str:
    """The text without controls, marks that turn it around, and characters that nobody sees."""
    return _UNSEEN.sub("", text)


def _decoded(body: bytes, content_type: str) -> str:
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    said = _HEADER.search(content_type)
    written = _META.search(body[:2048])
    for name in (said[1] if said else "", written[1].decode() if written else ""):
        if not _KNOWN.fullmatch(name):
            continue
        if written is not None and said is None and name.lower().startswith("utf-16"):
            # What could be read so far was not UTF-16.
            continue
        try:
            # What is called Latin-1 on the web is Windows-1252.
            codec = "cp1252" if _WESTERN.fullmatch(name) else _NAMES.get(name.lower(), name)
            return body.decode(codec, "replace")
        except LookupError:
            continue
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")
