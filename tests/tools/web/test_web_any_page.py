"""Whatever a server sends as a page is text in the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawd.net.response import Head, Response
from clawd.tools.web.charset import visible
from clawd.tools.web.content import page_of

WORDS = (
    "<p> </p> <a\thref=x> </a> <table> <tr> <td> </td> </table> <ul> <ol> <li> </ul> <pre> </pre> "
    "<code> <h1> </h1> <br> <nav> </nav> <div\thidden> </div> <!-- --> <title> </title> <main> "
    "</main> <blockquote> <script> </script> <img\talt=y> < > & &#x0; &#x81; &#x202e; &#xe0041; "
    "&amp; \" ' = / word"
)
PIECES = st.lists(st.sampled_from(WORDS.split(" ")), max_size=40).map(" ".join)
TYPES = st.sampled_from(
    ["text/html", "text/html; charset=utf-16", "", "text/plain", "x/y; charset="]
)


@given(PIECES.map(str.encode) | st.binary(max_size=200), TYPES)
def test_any_body_becomes_text_that_can_be_shown(body: bytes, kind: str) -> None:
    """Without an error, and without what nobody sees."""
    page = page_of(Response(Head("http://example.com/", 200, (("content-type", kind),)), body))
    page.text.encode()
    assert "\0" not in page.text + page.title
    assert visible(page.text) == page.text
    assert visible(page.title) == page.title
