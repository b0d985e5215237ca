"""Text from elsewhere on its way to a terminal (R14)."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.cli.chat.render import Renderer
from clawd.cli.clean import clean, cut, escape_json, one_line, width

HOSTILE = [
    "\x1b[2J\x1b[H",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP1$r0m\x1b\\",
    "\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\",
    "\x9b2J\x9d0;title\x9c",
    "\x1bc\x1b(0\x1b#8\x1bN",
    "\x1b[?1049h\x1b[6n\x1b[5i",
    "\r\rover\x08\x08\x7f",
    "\x00\x01\x02\x07\x0b\x0c\x0e\x0f\x1f",
    "\x1b",
    "\x1b[",
    "\x1b]0;never ended",
    "&#27;[31m &#x9b;2J",
]
DECEPTIVE = (
    "\u202e\u202d\u2066\u2069\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u061c\u00ad\U000e0041"
    "\u3164\u115f\u1160\uffa0\u034f\U000e0101\ufe01"
)
VISIBLE_SIGNS = (
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f]"
)
"""Characters of the category "format" that are drawn, such as the Arabic number sign."""


def harmless(text: str) -> bool:
    """Whether nothing in the text steers a terminal or hides."""
    return all(
        character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        for character in re.sub(VISIBLE_SIGNS, "", text)
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    """No control byte of a hostile text comes through, and the words around it stay."""
    shown = clean(f"before{text}\nafter" if "never" not in text else f"before{text}")
    assert harmless(shown)
    assert shown.startswith("before")


def test_what_cannot_be_seen_is_shown() -> None:
    """Bidirectional and zero-width characters and lone surrogates stand as their code points."""
    assert clean("a\u202eb") == "a⟨U+202E⟩b"
    assert clean(DECEPTIVE).count("⟨U+") == len(DECEPTIVE)
    assert clean("\ud800") == "⟨U+D800⟩"


@given(st.text(alphabet=st.characters() | st.sampled_from("\x1b\x9b[]0;m\x07\\\x9c\x9d")))
def test_any_text_becomes_harmless(text: str) -> None:
    """Whatever the text, nothing of the kinds control, format and surrogate is left."""
    assert harmless(clean(text))
    assert harmless(json.dumps("") + escape_json(json.dumps(text, ensure_ascii=False)))


@given(st.text())
def test_escaped_json_says_the_same(text: str) -> None:
    """Escaping for the terminal does not change what the document says."""
    document = json.dumps(text, ensure_ascii=False)
    assert json.loads(escape_json(document)) == text


@pytest.mark.parametrize("text", [*HOSTILE, DECEPTIVE])
@pytest.mark.parametrize("around", ["{}", "`{}`", "```\n{}\n```", "# {}", "| a |\n|---|\n| {} |"])
def test_rendered_markdown_is_harmless(text: str, around: str) -> None:
    """Nothing comes through Markdown either, entities included."""
    assert harmless(Renderer(colour=False, plain=False).block(around.format(text), 80))


def test_ordinary_text_is_left_alone() -> None:
    """Words in any script, emoji, tabs and lines stay as they are."""
    for text in ("plain", "naïve 日本語 עברית 🙂", "a\tb\nc"):
        assert clean(text) == text


def test_one_line_folds_and_cuts() -> None:
    """A text of several lines becomes one, cut by columns, wide characters counted as two."""
    assert one_line("a\n  b\r\n\tc") == "a b c"
    assert one_line("abcdef", 4) == "abc…"
    assert cut("日本語", 5) == "日本…"
    assert width(cut("日本語", 4)) <= 4
