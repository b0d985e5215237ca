"""A note's file: what is written, and what is read whoever has written it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.errors import Invalid
from clawd.tools.memory.note import Note, check_id, first_words, parse, render, slug

WHOLE = Note(
    "tea", "Green tea: the \"good\" one", "Likes it.\n\n---\n\nWithout sugar.", ("drinks", "für E"),
    "2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z", True, "https://example.org/?a=[b]",
)  # fmt: skip


def test_what_is_written_is_read_back() -> None:
    """Quotes, colons and rules in a note are its own."""
    read = parse("tea", render(WHOLE), 0.0)
    assert read == WHOLE
    assert render(WHOLE).split("\n")[read.line - 1] == "Likes it."


@given(
    title=st.text(min_size=1).filter(lambda t: t.isprintable() and t.strip() == t),
    text=st.text(min_size=1).map(str.strip).filter(lambda t: t and "\r" not in t),
)
def test_any_text_is_read_back(title: str, text: str) -> None:
    """Whatever a title and a text hold, they do not become another part of the file."""
    title = " ".join(title.split())[:200].strip()
    if not title or "\0" in text:
        return
    read = parse("x", render(Note("x", title, text, (), WHOLE.created, WHOLE.updated)), 0.0)
    assert (read.title, read.text) == (title, text.strip("\n"))
    assert not read.untrusted


@pytest.mark.parametrize(
    ("content", "title", "tags", "text"),
    [
        ("just a line", "by hand", (), "just a line"),
        ("# A heading\nand text", "A heading", (), "# A heading\nand text"),
        ("---\ntitle: T\ntags: a, b\n---\nx", "T", ("a", "b"), "x"),
        ("---\ntitle: 'it''s'\ntags:\n  - a\n  - '#b'\n---\n\nx\n", "it's", ("a", "b"), "x"),
        ("---\r\ntitle: \"T\"\r\n---\r\nx\r\n", "T", (), "x"),
        ("---\nno end of a head", "by hand", (), "---\nno end of a head"),
        ("---\n---\n", "by hand", (), ""),
        ("", "by hand", (), ""),
    ],
)  # fmt: skip
def test_a_file_by_hand_is_a_note(
    content: str, title: str, tags: tuple[str, ...], text: str
) -> None:
    """With any head, or none; then its time is the file's."""
    note = parse("by hand", content, 1_790_000_000.0)
    assert (note.title, note.tags, note.text) == (title, tags, text)
    assert note.updated == note.created == "2026-09-21T14:13:20Z"


def test_keys_that_clawd_does_not_know_stay() -> None:
    """Another program's lines in a head survive a change."""
    content = "---\ntitle: T\naliases:\n  - other\ncssclass: wide\n---\n\nx\n"
    again = render(parse("x", content, 0.0))
    assert "aliases:\n  - other\ncssclass: wide\n" in again


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", "9999-12-31T23:59:59-23:59", "0"])
def test_a_date_that_is_none_is_the_files(date: str) -> None:
    """Nothing in a head can break a note."""
    assert parse("x", f"---\nupdated: {date}\n---\nx", 0.0).updated == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "id",
    ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "x\0y", "x\ny", "a" * 300, "\u202ex"],
)
def test_a_hostile_id_is_refused(id: str) -> None:
    """R13: an id is a file's name in one folder, and nothing else."""
    with pytest.raises(Invalid):
        check_id(id)


def test_an_id_as_a_listing_shows_it_is_taken() -> None:
    """Models copy paths."""
    assert check_id("memory/Old notes.md") == "Old notes"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Likes green tea", "likes-green-tea"),
        ("Größe & Ärger", "groe-arger"),
        ("京都", ""),
        ("../../etc", "etc"),
    ],
)
def test_a_title_becomes_a_plain_name(title: str, name: str) -> None:
    """Of letters, digits and hyphens."""
    assert slug(title.replace("ß", "")) == name


def test_a_text_without_a_title_has_its_first_words() -> None:
    """Cut at a word."""
    assert first_words("# Hello\nmore") == "Hello"
    assert first_words("word " * 30) == ("word " * 12).strip() + "…"
