"""Open ends in a text: questions, what is uncertain, what is to be done. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["question", "uncertain", "todo", "failure"]

WEIGHTS: dict[Kind, float] = {"failure": 0.8, "todo": 0.7, "question": 0.6, "uncertain": 0.4}
LONGEST = 300
"""How many characters an objective has; more is cut."""
_SHORTEST = 8
_LINE = 2000
"""A longer line is no sentence of a human's: it is left out."""

_TODO = re.compile(r"[-*+]\s+\[ \]\s+(.+)|.*?\b(?:TODO|FIXME)\b:?\s+(.+)")
_SENTENCES = re.compile(r"(?<=[.!?\u3002\uff1f\u061f])[\"')*_»”]*\s+")
_ASKED = re.compile(r"[?\uff1f\u061f][\"')*_»”]*\Z")
_UNCERTAIN = re.compile(
    r"\b(maybe|perhaps|probably|possibly|not (?:quite |entirely )?(?:sure|certain|clear)|unsure|"
    r"unclear|uncertain|do(?:es)?(?:n['’]t| not) know|to be confirmed|tb[cd]|"
    r"need(?:s)? (?:checking|to be checked))\b",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\S*(?:://|www\.)\S*")
_BULLET = re.compile(r"^(?:[-*+]|\d+[.)])\s+(?:\[.\]\s+)?|^>+\s*")
_FENCE = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class Finding:
    """One open end: ``source`` is the file it is in, ``line`` counts from 1, 0 for none.

    ``score`` is from 0 to 1. ``untrusted``: its text came from outside.
    """

    kind: Kind
    text: str
    source: str
    line: int = 0
    score: float = 0.5
    untrusted: bool = False


def findings(text: str, source: str, *, bonus: float = 0.0, untrusted: bool) -> list[Finding]:
    """The open ends of a Markdown text; its head, headings and blocks of code are left out."""
    return [
        Finding(kind, said, source, number, score(kind, bonus, untrusted=untrusted), untrusted)
        for number, line in _prose(text)
        if (found := _in_line(line)) is not None
        for kind, said in [found]
    ]


def score(kind: Kind, bonus: float, *, untrusted: bool) -> float:
    """How much an open end matters; what came from outside matters less."""
    return round(min(max(WEIGHTS[kind] + bonus - (0.3 if untrusted else 0.0), 0.0), 1.0), 2)


def _prose(text: str) -> Iterator[tuple[int, str]]:
    lines = text.split("\n")
    head = bool(lines) and lines[0].strip() == "---"
    code = ""
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if head:
            head = number == 1 or line != "---"
        elif code:
            code = "" if line.startswith(code) else code
        elif line.startswith(_FENCE):
            code = line[:3]
        elif line and not line.startswith("#") and len(line) <= _LINE:
            yield number, line


def _in_line(line: str) -> tuple[Kind, str] | None:
    """What is open in a line: one thing, the most pressing."""
    if match := _TODO.match(line):
        said = clean(match[1] or match[2])
        return ("todo", said) if len(said) >= _SHORTEST else None
    plain = _BULLET.sub("", line)
    for sentence in _SENTENCES.split(plain):
        said = clean(sentence)
        if _ASKED.search(_ADDRESS.sub("", sentence).rstrip()) and len(said) >= _SHORTEST:
            return "question", said
    if _UNCERTAIN.search(_ADDRESS.sub("", plain)):
        said = clean(plain)
        return ("uncertain", said) if len(said) >= _SHORTEST else None
    return None


def clean(text: str) -> str:
    """A text on one line, without what is not seen and what would end a comment, cut."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.replace("<!--", " ").replace("-->", " ").split()).strip("*_ ")
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
