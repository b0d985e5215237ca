"""What started a turn: a human's line, a task, other sessions' messages, the result of a task."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_HEAD = re.compile(
    r"^\[(task|message|result of task) (\S+) from "
    r'(?:session "([^"\n]*)"|(your human, the operator))[^\n]*\]$',
    re.MULTILINE,
)
_FENCE = re.compile(r"^<<<(\S+)\n(.*?)\n?^\1>>>$", re.MULTILINE | re.DOTALL)

Kind = Literal["line", "task", "message", "result"]


@dataclass(frozen=True)
class Trigger:
    """One thing that started a turn; ``text`` of anything but a line stood inside a fence."""

    kind: Kind
    text: str
    id: str = ""
    sender: str = ""


def triggers_of(content: str) -> list[Trigger]:
    """All that a user message brings, in order.

    A head is one only at the start or after another's fence: inside a fence all is content.
    """
    found: list[Trigger] = []
    head = _HEAD.match(content)
    while head is not None:
        fence = _FENCE.search(content, head.end())
        following = _HEAD.search(content, head.end())
        if fence is None or (following is not None and following.start() < fence.start()):
            text, end = "", head.end()
        else:
            text, end = fence[2], fence.end()
        found.append(_trigger(head, text))
        head = _HEAD.search(content, end)
    return found or [Trigger("line", content)]


def _trigger(head: re.Match[str], text: str) -> Trigger:
    if head[4]:
        return Trigger("line", text, head[2], "operator")
    kinds: dict[str, Kind] = {"task": "task", "message": "message", "result of task": "result"}
    return Trigger(kinds[head[1]], text, head[2], head[3])
