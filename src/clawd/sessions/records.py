"""The lines of ``history.jsonl``: turns, chat messages, summaries, conversations."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from clawd.ids import OPERATOR
from clawd.lineage import Lineage
from clawd.messages import JSON, ChatMessage, Usage

TriggerKind = Literal["user", "message", "task", "schedule", "client"]
TurnStatus = Literal[
    "queued", "running", "waiting", "parked", "finished", "failed", "cancelled", "steered"
]

OPEN: frozenset[TurnStatus] = frozenset({"queued", "running", "waiting", "parked"})
"""The states of a turn that is still to be run, or to be gone on with; a parked one waits for an
answer of the human."""


class Trigger(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a turn starts: a user's line, messages or a task by their ids."""

    kind: TriggerKind
    source: str
    ids: tuple[str, ...] = ()
    text: str = ""


class Line(
    msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True, kw_only=True
):
    """What every line has; the last line for an id wins."""

    id: str
    conversation: str
    time: str
    sealed: str = ""


class TurnRecord(Line, frozen=True, tag="turn", kw_only=True):
    """A turn: accepted, started, and how it ended.

    ``attempt`` counts its starts, ``crashes`` those that daemon or session did not survive;
    ``stood_still``: it waited for a human, and other turns came in between.
    """

    trigger: Trigger
    status: TurnStatus
    lineage: Lineage
    attempt: int = 0
    crashes: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    usage: Usage | None = None
    error: JSON | None = None
    stood_still: bool = False

    @property
    def own(self) -> bool:
        """Whether the operator asked for just this turn: by a line, a message or a task."""
        return self.trigger.kind == "user" or self.lineage.path[-1:] == (OPERATOR,)


class MessageRecord(Line, frozen=True, tag="message", kw_only=True):
    """A chat message; ``partial`` when the model was stopped in the middle of it.

    ``untrusted``: the turn had read text from outside when this was said.
    """

    turn: str
    trigger: TriggerKind
    message: ChatMessage
    partial: bool = False
    untrusted: bool = False

    def output(self) -> JSON:
        """A last word as other sessions read it."""
        facts: JSON = {"time": self.time, "turn": self.turn, "text": self.message.content}
        return facts | ({"untrusted": True} if self.untrusted else {})


class SummaryRecord(Line, frozen=True, tag="summary", kw_only=True):
    """What stands for all messages up to ``upto`` in a request; "" where they were dropped.

    ``kept`` are those among them that it does not stand for: of turns whose calls waited.
    """

    upto: str
    text: str
    kept: tuple[str, ...] = ()


class ConversationRecord(Line, frozen=True, tag="conversation", kw_only=True):
    """A new conversation begins."""


Record = TurnRecord | MessageRecord | SummaryRecord | ConversationRecord


def blank(record: Record) -> dict[str, Any]:
    """The fields that hold what was said, with what stands for them in a sealed line."""
    match record:
        case TurnRecord():
            return {"trigger": msgspec.structs.replace(record.trigger, text=""), "error": None}
        case MessageRecord():
            return {"message": ChatMessage(record.message.role)}
        case SummaryRecord():
            return {"text": ""}
        case _:
            return {}
