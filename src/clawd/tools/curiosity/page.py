"""``CURIOSITY.md``: a list of objectives that a human reads and edits.

Each is a line of a task list; what clawd needs to know of it stands in a comment behind it. Only
the lines of objectives that change are written anew: everything else stays as it was typed.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from clawd.tools.curiosity.finding import Finding, Kind, clean

Status = Literal["open", "scheduled", "done"]

MOST = 500
"""How many objectives the page has; a scan adds none beyond."""
_LOOKED_AT = 100
"""Of how many new open ends, those with the highest scores, a scan chooses."""
_NEAR = 0.8
"""Two objectives that share this part of their words are one."""
_TYPED = 0.9
"""The score of what somebody typed into the page."""

_HEAD = """# Curiosity

Open ends that clawd found in this session's files, without a model. Tick what is done, reword,
add lines of your own (`- [ ] …`); what is ticked is not found again, what is deleted may be.
"""
_LINE = re.compile(r"\s*[-*+] \[([ xX])\] (.*?)\s*(?:<!-- (goal-[0-9a-f]{8})((?: \S+)*) -->)?\s*$")


@dataclass(frozen=True, slots=True)
class Goal:
    """One objective; ``place`` says where it was found, such as ``MEMORY.md:12``."""

    id: str
    text: str
    kind: Kind
    score: float
    place: str
    done: bool = False
    schedule: str = ""
    untrusted: bool = False

    @property
    def status(self) -> Status:
        """Where it stands."""
        return "done" if self.done else "scheduled" if self.schedule else "open"

    def line(self) -> str:
        """Its line in the page."""
        facts = [self.id, self.kind, f"{self.score:g}", self.place.replace(" ", "_")]
        facts += [f"schedule={self.schedule}"] if self.schedule else []
        facts += ["untrusted"] if self.untrusted else []
        return f"- [{'x' if self.done else ' '}] {self.text} <!-- {' '.join(facts)} -->"


class Page:
    """The page as it stands, and what is to stand in it."""

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        """``untrusted``: nobody knows which of its lines came from outside."""
        self._lines = text.split("\n") if text.strip() else _HEAD.split("\n")
        self._at: dict[str, int] = {}
        self._goals: dict[str, Goal] = {}
        for index, line in enumerate(self._lines):
            goal = _read(line, untrusted=untrusted)
            if goal is not None and goal.id not in self._goals:
                self._goals[goal.id], self._at[goal.id] = goal, index

    @property
    def goals(self) -> list[Goal]:
        """The objectives, the highest score first."""
        return sorted(self._goals.values(), key=lambda goal: (-goal.score, goal.id))

    def get(self, goal_id: str) -> Goal | None:
        """An objective by id."""
        return self._goals.get(goal_id)

    def take(self, found: Iterable[Finding], most: int) -> list[Goal]:
        """Add the best of what was found and is not there yet, at most so many; those added.

        What was found in several places counts for more.
        """
        known = [_words(goal.text) for goal in self._goals.values()]
        fresh: dict[str, Goal] = {}
        words_of: dict[str, frozenset[str]] = {}
        for finding in sorted(found, key=lambda f: (-f.score, f.source, f.line)):
            if len(fresh) == _LOOKED_AT:
                break
            goal_id = id_of(finding.text)
            if goal_id in self._goals:
                continue
            words = _words(finding.text)
            if any(_alike(words, other) for other in known):
                continue
            twin = next((i for i, other in words_of.items() if _alike(words, other)), None)
            if twin is not None:
                goal = fresh[twin]
                fresh[twin] = replace(goal, score=round(min(goal.score + 0.05, 1.0), 2))
            else:
                place = f"{finding.source}:{finding.line}" if finding.line else finding.source
                words_of[goal_id] = words
                fresh[goal_id] = Goal(
                    goal_id, finding.text, finding.kind, finding.score, place,
                    untrusted=finding.untrusted,
                )  # fmt: skip
        room = max(MOST - len(self._goals), 0)
        added = sorted(fresh.values(), key=lambda goal: (-goal.score, goal.id))[: min(most, room)]
        for goal in added:
            self._append(goal)
        return added

    def put(self, goal: Goal, result: str = "") -> None:
        """Write an objective's line anew, with a line below it that says what came of it."""
        index = self._at[goal.id]
        self._goals[goal.id] = goal
        self._lines[index] = goal.line()
        if result := clean(result):
            self._lines.insert(index + 1, f"  {result}")
            self._at = {i: at + (at > index) for i, at in self._at.items()}

    def render(self) -> str:
        """The whole page."""
        return "\n".join(self._lines).rstrip("\n") + "\n"

    def _append(self, goal: Goal) -> None:
        while self._lines and not self._lines[-1].strip():
            self._lines.pop()
        if not self._goals and self._lines:
            self._lines.append("")
        self._goals[goal.id], self._at[goal.id] = goal, len(self._lines)
        self._lines.append(goal.line())


def id_of(text: str) -> str:
    """The id of an objective with this text, whatever its case and punctuation."""
    words = " ".join(_plain(text))
    return f"goal-{hashlib.sha256(words.encode(errors='replace')).hexdigest()[:8]}"


def _read(line: str, *, untrusted: bool) -> Goal | None:
    if (match := _LINE.match(line)) is None or not (text := clean(match[2])):
        return None
    tick, goal_id, facts = match[1], match[3], str(match[4] or "").split()
    kind, score, place = (*facts[:3], "", "", "")[:3]
    more = facts[3:]
    known = kind in get_args(Kind)
    return Goal(
        goal_id or id_of(text),
        text,
        kind if known else "todo",  # type: ignore[arg-type]
        _number(score) if known else _TYPED,
        place or "CURIOSITY.md",
        done=tick != " ",
        schedule=next((f.removeprefix("schedule=") for f in more if f.startswith("schedule=")), ""),
        untrusted=untrusted or "untrusted" in more,
    )


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return _TYPED
    return number if 0 <= number <= 1 else _TYPED


def _plain(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"\w+", folded)


def _words(text: str) -> frozenset[str]:
    return frozenset(_plain(text))


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    if not one or min(len(one), len(other)) < _NEAR * max(len(one), len(other)):
        return False
    return len(one & other) >= _NEAR * len(one | other)
