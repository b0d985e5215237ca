"""Facts that a model gives together with a summary."""

from __future__ import annotations

import pytest

from clawd.agent.context import MAX_FACT, MAX_FACTS, parted


@pytest.mark.parametrize(
    ("said", "summary", "facts"),
    [
        ("All went well.", "All went well.", ()),
        ("Sum.\nMEMORY:\n- likes tea\n- has a dog", "Sum.", ("likes tea", "has a dog")),
        ("Sum.\n\n**MEMORY:**\n\n* likes tea\n2. has a dog\n", "Sum.", ("likes tea", "has a dog")),
        ("Sum.\n## Memory:\nlikes tea", "Sum.", ("likes tea",)),
        ("Sum.\nMEMORY:\nNone.", "Sum.", ()),
        ("Sum.\nMEMORY:\n- (none)", "Sum.", ()),
        ("Sum.\nMEMORY:", "Sum.", ()),
        ("Sum.\nMEMORY:\n- a\n- a\n\n- b", "Sum.", ("a", "b")),
        ("They spoke of MEMORY: it was fun.", "They spoke of MEMORY: it was fun.", ()),
        ("MEMORY:\n- only facts", "MEMORY:\n- only facts", ()),
        (
            "One.\nMEMORY:\n- a\nMore of it.\nMEMORY:\n- b",
            "One.\nMEMORY:\n- a\nMore of it.",
            ("b",),
        ),
        ("Sum.\nMEMORY:\n- 3 May is the day", "Sum.", ("3 May is the day",)),
        ("Sum.\nMEMORY:\n- None of them eats meat", "Sum.", ("None of them eats meat",)),
    ],
)
def test_the_last_mark_parts_them(said: str, summary: str, facts: tuple[str, ...]) -> None:
    """A model that ignores the wish, or half follows it, still gives a summary."""
    assert parted(said) == (summary, facts)


def test_facts_are_bounded() -> None:
    """In number and in length."""
    said = "Sum.\nMEMORY:\n" + "\n".join(f"- {n} " + "x" * 2000 for n in range(50))
    _, facts = parted(said)
    assert len(facts) == MAX_FACTS
    assert {len(fact) for fact in facts} == {MAX_FACT}
