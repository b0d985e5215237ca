"""Cuts a line into the steps that it joins with "then"."""

from __future__ import annotations

import re

from clawd.llm.offline.masking import Masked
from clawd.llm.offline.parsing import Tools, starts_step

_JOINT = re.compile(
    r"\s*;\s*(?:and\s+)?(?:then,?\s+)?"
    r"|[.!?,]?\s+(?:and\s+)?(?:then|afterwards|after\s+that),?\s+"
    r"|[.!?]\s+|\s*\n\s*(?:(?:\d+[.)]|[-*])\s+)?(?:then,?\s+)?",
    re.IGNORECASE,
)


def steps_in(line: str, tools: Tools) -> list[str]:
    """The steps in their order; what cannot begin a step stays with the one before it.

    Quoted text and JSON are never cut.
    """
    masked = Masked(line.strip())
    text = masked.text
    begins = [0]
    ends: list[int] = []
    for joint in _JOINT.finditer(text):
        if joint.end() < len(text) and starts_step(text[joint.end() :], tools):
            ends.append(joint.start())
            begins.append(joint.end())
    ends.append(len(text))
    return [masked.restore(text[begin:end]) for begin, end in zip(begins, ends, strict=True)]
