"""Lines of the operator: what they must be like, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clawd.errors import Invalid
from clawd.ids import OPERATOR, new_id, now
from clawd.lineage import Lineage, begin
from clawd.sessions.records import Trigger, TurnRecord

MAX_PROMPT_BYTES = 1024 * 1024

Mode = Literal["queue", "steer", "interrupt"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A user line that is durable: its turn, and how many come before it."""

    turn: str
    state: Literal["started", "queued", "steered"]
    ahead: int


def check_line(text: str) -> None:
    """``Invalid`` for a line that is empty, too long, or not valid Unicode."""
    if not text.strip():
        raise Invalid("empty_prompt", "there is nothing to say", hint="write a line")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid(
            "invalid_unicode", "the line has a lone surrogate", hint="send valid Unicode"
        ) from None
    if size > MAX_PROMPT_BYTES:
        raise Invalid("too_large", f"the line has {size} bytes, the limit is {MAX_PROMPT_BYTES}")


def turn_of(text: str, conversation: str, lineage: Lineage | None = None) -> TurnRecord:
    """The turn that a line asks for; without a lineage it begins a trace."""
    return TurnRecord(
        id=new_id("turn"),
        conversation=conversation,
        time=now(),
        status="queued",
        trigger=Trigger("user", OPERATOR, text=text),
        lineage=lineage or begin("operator"),
    )
