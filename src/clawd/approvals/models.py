"""What a human is asked, and what was said: the lines of ``state/approvals.jsonl``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["approval", "question"]
State = Literal["open", "allowed", "used", "denied", "answered", "expired", "withdrawn"]

CLOSED: frozenset[State] = frozenset({"used", "denied", "answered", "expired", "withdrawn"})
"""The states in which nothing can happen any more."""


class Approval(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, tag="approval",
    tag_field="record",
):  # fmt: skip
    """A call that waits for a yes, or a question that waits for an answer.

    ``call`` is the id of the tool call, ``arguments`` what it would be made with, as JSON;
    ``text`` says why a yes is needed, or is the question; ``cause`` the chain that led there.
    ``rule`` is the pattern of ``tools.approval`` that asks, "" for a power that a turn gives up
    by reading from outside: that one no standing rule gives back. ``used``: allowed, and begun.
    ``digest`` names the call with all its arguments; ``untrusted``: so is the answer.
    """

    id: str
    kind: Kind
    session: str
    turn: str
    call: str
    tool: str
    text: str
    created_at: str
    expires_at: str
    state: State
    arguments: str = ""
    digest: str = ""
    options: tuple[str, ...] = ()
    cause: str = ""
    rule: str = ""
    trace: str = ""
    task: str = ""
    answer: str = ""
    by: str = ""
    decided_at: str | None = None
    untrusted: bool = False
    sealed: str = ""


class Rule(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, tag="rule",
    tag_field="record",
):  # fmt: skip
    """*Always for this*: calls of a session like this one need no yes any more."""

    id: str
    session: str
    pattern: str
    created_at: str
    approval: str = ""
    removed: bool = False
    sealed: str = ""


Record = Approval | Rule


def blank(record: Record) -> dict[str, Any]:
    """The fields that hold what was said, with what stands for them in a sealed line."""
    if isinstance(record, Rule):
        return {"pattern": ""}
    return {"text": "", "arguments": "", "answer": "", "options": ()}
