"""``CURIOSITY.md``: what a human types into it stays, what clawd writes is read again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from clawd.errors import ClawdError, Refused
from clawd.storage.provenance import ATTRIBUTE
from clawd.tools.curiosity.finding import Finding
from clawd.tools.curiosity.keeping import FILE, change_page, read_page
from clawd.tools.curiosity.page import MOST, Page, id_of
from clawd.tools.curiosity.reading import Reading
from clawd.tools.curiosity.scanning import scan


def found(text: str, score: float = 0.5, *, untrusted: bool = False) -> Finding:
    """An open end in MEMORY.md."""
    return Finding("question", text, "MEMORY.md", 3, score, untrusted)


def marked(path: Path, source: str = "web_fetch") -> None:
    """As a file that was written in a turn that had read text from outside."""
    try:
        os.setxattr(path, ATTRIBUTE, source.encode())
    except OSError as refused:
        pytest.skip(f"no extended attributes here: {refused}")


def test_what_is_written_is_read_again() -> None:
    """All that is known of an objective is in its line."""
    page = Page("")
    (goal,) = page.take([found("Which bank?", 0.75)], 3)
    page.put(replace(goal, schedule="sched-1"))
    (again,) = Page(page.render()).goals
    assert again == replace(goal, schedule="sched-1")
    assert again.status == "scheduled"
    assert again.place == "MEMORY.md:3"


def test_edits_of_the_operator_survive() -> None:
    """Reworded, reordered, ticked, added lines and prose stay byte for byte."""
    page = Page("")
    first, second = page.take([found("Which bank?", 0.9), found("Whose car?", 0.8)], 3)
    text = page.render().replace("Which bank?", "Which bank, and which branch?")
    text = text.replace("- [ ] Whose car?", "* [X] Whose car?")
    text += "\nMy own remarks.\n\n- [ ] learn Basque\n- no objective\n"
    edited = Page(text)
    assert edited.render() == text
    goals = {goal.id: goal for goal in edited.goals}
    assert goals[first.id].text == "Which bank, and which branch?"
    assert goals[second.id].status == "done"
    own = goals[id_of("learn Basque")]
    assert (own.status, own.place) == ("open", "CURIOSITY.md")
    assert edited.take([found("Which bank?"), found("whose CAR")], 3) == []
    edited.put(replace(own, done=True), result="enrolled")
    kept = text.replace("- [ ] learn Basque", f"{replace(own, done=True).line()}\n  enrolled")
    assert edited.render() == kept


def test_the_same_in_other_words_is_found_once() -> None:
    """Case, punctuation and a word more or less make no other objective; places add weight."""
    page = Page("")
    ends = [
        found("When does Ana's lease of the flat end?", 0.6),
        found("when does Ana's lease of the flat end", 0.5),
        found("When does Ana's lease of the new flat end?", 0.5),
        found("Who is Ana?", 0.62),
    ]
    added = page.take(ends, 5)
    assert [goal.text for goal in added] == [
        "When does Ana's lease of the flat end?",
        "Who is Ana?",
    ]
    assert added[0].score == 0.7
    assert page.take(ends, 5) == []


def test_a_cycle_adds_the_best_and_no_more() -> None:
    """`maxGoalsPerCycle`; the others come in later cycles, until the page is full."""
    page = Page("")
    ends = [found(f"Question {n} about thing{n}?", n / 1000) for n in range(900)]
    assert [goal.score for goal in page.take(ends, 3)] == [0.899, 0.898, 0.897]
    for _ in range(10):
        page.take(ends, 100)
    assert len(page.goals) == MOST
    assert page.take(ends, 3) == []


def test_hostile_lines_are_lines() -> None:
    """Broken comments, foreign ids, scores that are none: no error, and no second objective."""
    lines = (
        "- [ ] a thing <!-- goal-12345678 question NaN x y schedule= untrusted -->",
        "- [ ] another <!-- goal-12345678 question 0.5 x -->",
        "- [ ] third <!-- goal-zz -->",
        "- [ ] fourth <!-- goal-11111111 nonsense 9e999 -->",
        "- [ ] ",
        "- [-] dismissed",
        "<!-- - [ ] inside -->",
    )
    text = "\n".join(lines)
    page = Page(text)
    assert [goal.id for goal in page.goals].count("goal-12345678") == 1
    assert all(0 <= goal.score <= 1 for goal in page.goals)
    assert page.render() == text + "\n"


def test_the_marks_of_lines_hold_for_clawds_own_text_alone(tmp_path: Path) -> None:
    """T21: the page says which lines came from outside; once anyone else wrote, all may have."""
    change_page(
        tmp_path,
        lambda page: page.take([found("Mine is what?"), found("Theirs?", untrusted=True)], 3),
    )
    try:
        source = os.getxattr(tmp_path / FILE, ATTRIBUTE)
    except OSError as refused:
        pytest.skip(f"no extended attributes here: {refused}")
    assert {g.text: g.untrusted for g in read_page(tmp_path).goals} == {
        "Mine is what?": False,
        "Theirs?": True,
    }
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    # A turn that read the page writes it: the mark goes along, and fits the text no more.
    (tmp_path / FILE).write_text(text.replace(" untrusted", ""), encoding="utf-8")
    os.setxattr(tmp_path / FILE, ATTRIBUTE, source)
    assert all(goal.untrusted for goal in read_page(tmp_path).goals)
    change_page(tmp_path, lambda page: page.take([found("Another one?")], 3))
    goals = {goal.text: goal.untrusted for goal in read_page(tmp_path).goals}
    assert goals == {"Mine is what?": True, "Theirs?": True, "Another one?": True}


def test_a_page_that_nobody_marked_stays_without_a_mark(tmp_path: Path) -> None:
    """Also after a scan that found nothing from outside."""
    change_page(tmp_path, lambda page: page.take([found("Mine is what?")], 3))
    assert not any(goal.untrusted for goal in read_page(tmp_path).goals)
    assert "untrusted" not in (tmp_path / FILE).read_text(encoding="utf-8")


def test_a_page_that_cannot_be_read_whole_is_not_written(tmp_path: Path) -> None:
    """Too long, a pipe, a link that leads out, no UTF-8: one error, nothing lost."""
    page = tmp_path / FILE
    page.write_text("- [ ] x\n" * 100_000, encoding="utf-8")
    with pytest.raises(Refused, match="has more than"):
        change_page(tmp_path, lambda page: page.take([found("Mine is what?")], 3))
    assert page.stat().st_size == 800_000
    page.unlink()
    page.symlink_to("/etc/hostname")
    with pytest.raises(ClawdError):
        change_page(tmp_path, lambda page: page.take([found("Mine is what?")], 3))
    page.unlink()
    os.mkfifo(page)
    with pytest.raises(ClawdError):
        read_page(tmp_path)
    page.unlink()
    page.write_bytes(b"\xff\xfe")
    with pytest.raises(ClawdError):
        change_page(tmp_path, lambda page: page.take([found("Mine is what?")], 3))
    assert page.read_bytes() == b"\xff\xfe"


def test_an_edit_in_between_is_not_lost(tmp_path: Path) -> None:
    """Somebody saves while clawd thinks: it begins anew with what they saved."""
    seen: list[str] = []

    def change(page: Page) -> None:
        if not seen:
            (tmp_path / FILE).write_text("- [ ] learn Basque\n", encoding="utf-8")
        seen.append(page.render())
        page.take([found("Mine is what?")], 3)

    change_page(tmp_path, change)
    assert len(seen) == 2
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert text.startswith("- [ ] learn Basque\n- [ ] Mine is what?")


def test_a_workspace_is_read_within_bounds_and_only_what_changed(tmp_path: Path) -> None:
    """USER.md, MEMORY.md, notes; what came from outside is marked; a scan costs little."""
    (tmp_path / "memory").mkdir()
    (tmp_path / "USER.md").write_text("What is her surname?\n", encoding="utf-8")
    (tmp_path / "memory/a.md").write_text(
        '---\ntitle: "x"\norigin: untrusted\nsource: web\n---\n\nWill you obey me?\n',
        encoding="utf-8",
    )
    (tmp_path / "memory/b.md").write_text("- [ ] pay the rent\n", encoding="utf-8")
    (tmp_path / "memory/c.txt").write_text("- [ ] not a note\n", encoding="utf-8")
    (tmp_path / "memory/loop.md").symlink_to("loop.md")
    os.mkfifo(tmp_path / "memory/pipe.md")
    reading = Reading(tmp_path)
    ends = reading.findings()
    assert {(end.source, end.text, end.untrusted) for end in ends} == {
        ("USER.md", "What is her surname?", False),
        ("memory/a.md", "Will you obey me?", True),
        ("memory/b.md", "pay the rent", False),
    }
    assert reading.findings() == ends
    marked(tmp_path / "memory/b.md")
    assert {end.source for end in reading.findings() if end.untrusted} == {
        "memory/a.md",
        "memory/b.md",
    }


def test_a_schedule_that_is_over_opens_its_objective_again(tmp_path: Path) -> None:
    """Nothing is scheduled for ever; while nobody knows the schedules, nothing changes."""
    (tmp_path / "USER.md").write_text("What is her surname?\n", encoding="utf-8")
    reading = Reading(tmp_path)
    first = scan(tmp_path, reading, [], 3, [])
    goal = replace(first.added[0], schedule="sched-1")
    change_page(tmp_path, lambda page: page.put(goal))
    for waiting, opened in ((None, 0), (["sched-1"], 0), ([], 1)):
        assert scan(tmp_path, reading, [], 3, waiting).open == opened
