"""What counts as an open end in a text, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.tools.curiosity.finding import LONGEST, findings

EXAMPLES = Path(__file__).parents[3] / "workspaces"


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("Which bank does the rent go to?", "question", "Which bank does the rent go to?"),
        ("- When is Ana's birthday?", "question", "When is Ana's birthday?"),
        ("1. Paid in May. Who pays in June?", "question", "Who pays in June?"),
        ("*Is it the red one?*", "question", "Is it the red one?"),
        ("> Where is the key?", "question", "Where is the key?"),
        ("次の会議はいつですか\uff1f", "question", "次の会議はいつですか\uff1f"),
        ("متى الاجتماع القادم\u061f", "question", "متى الاجتماع القادم\u061f"),
        ("Rent is maybe 900 a month.", "uncertain", "Rent is maybe 900 a month."),
        ("Not sure whether the car is hers.", "uncertain", "Not sure whether the car is hers."),
        ("I don't know his surname", "uncertain", "I don't know his surname"),
        ("Flight number: TBD", "uncertain", "Flight number: TBD"),
        ("- [ ] renew the passport", "todo", "renew the passport"),
        ("  * [ ] renew it, maybe?", "todo", "renew it, maybe?"),
        ("TODO: call the landlord", "todo", "call the landlord"),
        ("Later. TODO call the landlord", "todo", "call the landlord"),
    ],
)
def test_open_ends(line: str, kind: str, text: str) -> None:
    """One a line, the most pressing, without bullets and emphasis."""
    (found,) = findings(f"first line\n{line}\n", "MEMORY.md", untrusted=False)
    assert (found.kind, found.text, found.line) == (kind, text, 2)


@pytest.mark.parametrize(
    "text",
    [
        "- [x] renew the passport",
        "See https://example.com/search?q=rent for it.",
        "www.example.com/why?",
        "# What is open?",
        "```\nis this code?\n- [ ] nor this\n```",
        "~~~\nTODO: nothing\n~~~",
        "---\ntitle: why is this a head?\n---\nText.",
        "?",
        "Why?",
        "a ? b : c",
        "- [ ]",
        "TODO:",
        "The todolist is in the kitchen.",
        "x" * 3000 + " is it?",
        "",
    ],
)
def test_nothing_is_open(text: str) -> None:
    """Addresses, headings, code, heads of notes, what is ticked, what is too short."""
    assert findings(text, "MEMORY.md", untrusted=False) == []


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.md")), ids=lambda path: str(path)[-24:])
def test_the_files_of_a_new_home_raise_no_questions(file: Path) -> None:
    """A session that has just been made has nothing to wonder about."""
    if file.name in ("USER.md", "MEMORY.md"):
        assert findings(file.read_text(encoding="utf-8"), file.name, untrusted=False) == []


def test_what_came_from_outside_matters_less_and_is_marked() -> None:
    """It stays apart all the way to the tools."""
    own, other = (
        findings("- [ ] pay the rent", "m", untrusted=untrusted)[0] for untrusted in (False, True)
    )
    assert other.untrusted
    assert other.score < own.score


@given(st.text(max_size=500))
def test_an_objective_is_one_short_printable_line(text: str) -> None:
    """Whatever is in a file, nothing of it can end a line or a comment."""
    for found in findings(f"- [ ] {text}\n{text}?", "m", untrusted=False):
        assert found.text.isprintable()
        assert "<!--" not in found.text
        assert "-->" not in found.text
        assert len(found.text) <= LONGEST
