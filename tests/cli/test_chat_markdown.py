"""Finished blocks of a stream of Markdown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawd.cli.chat.markdown import Blocks
from clawd.cli.chat.render import Renderer, last_rows

TEXT = "# Title\n\npara one\nstill\n\n```py\nx = 1\n\ny = 2\n```\nafter\n\n- a\n- b"
WANTED = ["# Title", "para one\nstill", "```py\nx = 1\n\ny = 2\n```", "after", "- a\n- b"]


def test_blocks_end_at_blank_lines_and_closed_fences() -> None:
    """A blank line inside a fence does not end the block; the closing fence does."""
    blocks = Blocks()
    assert blocks.feed(TEXT) == WANTED[:-1]
    assert blocks.tail == "- a\n- b"
    assert blocks.finish() == WANTED[-1:]
    assert blocks.tail == ""


@given(st.lists(st.integers(1, 9), max_size=60))
def test_the_pieces_do_not_matter(sizes: list[int]) -> None:
    """However the text is cut into deltas, the same blocks come out."""
    blocks, found, at = Blocks(), list[str](), 0
    for size in sizes:
        found += blocks.feed(TEXT[at : at + size])
        at += size
    found += blocks.feed(TEXT[at:]) + blocks.finish()
    assert found == WANTED
    assert blocks.text == TEXT


@given(st.text(alphabet="ab`~ \n-#"))
def test_nothing_is_lost(text: str) -> None:
    """All characters but line feeds between blocks come out, in order."""
    blocks = Blocks()
    found = blocks.feed(text) + blocks.finish()
    assert "".join("".join(found).split()) == "".join(text.split())


def test_rendering() -> None:
    """Headings stand at the left; without colour no escape is written."""
    plain = Renderer(colour=False, plain=False)
    assert plain.block("# Title", 40) == "# Title"
    assert plain.block("some **bold** text", 40) == "some bold text"
    assert "\x1b[1m" in Renderer(colour=True, plain=False).block("**bold**", 40)
    assert Renderer(colour=False, plain=True).block("**bold**", 40) == "**bold**"


def test_the_tail_is_cut_to_its_last_rows() -> None:
    """The unfinished tail is wrapped to the terminal and shows its end."""
    assert last_rows("abcdef", 4, 3) == ["abcd", "ef"]
    assert last_rows("one\ntwo\nthree", 10, 2) == ["two", "three"]
    assert all(len(row) <= 10 for row in last_rows("x" * 95, 10, 5))
