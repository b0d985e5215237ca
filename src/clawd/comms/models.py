"""The records of seed 004: messages between sessions, and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from clawd.lineage import Lineage
from clawd.messages import Usage

MessageState = Literal[
    "stored", "delivered", "read", "answered", "held", "expired", "refused", "dead"
]
MessageType = Literal["message", "request", "task_result", "notice", "receipt"]
TaskStatus = Literal["pending", "processing", "input_required", "completed", "failed", "cancelled"]

MAX_TOGETHER = 256 * 1024
"""How many bytes of messages, as JSON, enter a conversation at once: half of a usual window.

More would be an overflow that nothing can shorten, and mail that nobody ever reads.
"""

FINAL: frozenset[TaskStatus] = frozenset({"completed", "failed", "cancelled"})
"""The states that nothing changes."""


class SessionMessage(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, gc=False
):
    """One line of ``session_messages.jsonl``: the seven fields of seed 004, and what clawd adds.

    Times are UTC, ISO 8601. ``state`` is the true state; ``replyTo`` the message that this one
    answers; ``reason`` why it was refused, expired or given up.
    """

    id: str
    from_: str = msgspec.field(name="from")
    to: str
    content: str
    timestamp: str
    read: bool
    thread_id: str | None = None
    reply_to: str | None = None
    priority: int = 5
    ttl_seconds: float | None = None
    type: MessageType = "message"
    state: MessageState = "stored"
    delivered_at: str | None = None
    read_at: str | None = None
    attempts: int = 0
    reason: str | None = None
    note: str | None = None
    sealed: str = ""
    lineage: Lineage | None = None

    @property
    def waits(self) -> bool:
        """Whether it still is to enter a turn, or to be read."""
        return not self.read and self.state in ("stored", "delivered", "held")

    @property
    def from_daemon(self) -> bool:
        """Whether the daemon wrote it on somebody's behalf: it wants no answer."""
        return self.type in ("notice", "receipt")


class AsyncTask(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One line of ``tasks.jsonl``: the task of seed 004, and what clawd adds.

    ``cost`` is what its turns, and the tasks made for it, had used when it ended.
    """

    id: str
    from_session: str
    to_session: str
    task: str
    status: TaskStatus
    created_at: str
    context: dict[str, Any] | None = None
    result: str | None = None
    error: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    attempt: int = 0
    max_attempts: int = 3
    priority: int = 5
    deadline: str | None = None
    depends_on: tuple[str, ...] = ()
    parent_task: str | None = None
    reason: str | None = None
    verified: bool | None = None
    retry_of: str | None = None
    idempotency_key: str | None = None
    sealed: str = ""
    cost: Usage | None = None
    lineage: Lineage | None = None

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL


def blank(record: SessionMessage | AsyncTask) -> dict[str, Any]:
    """The fields that hold what was said, with what stands for them in a sealed line."""
    if isinstance(record, SessionMessage):
        return {"content": "", "note": None}
    return {"task": "", "context": None, "result": None, "error": None}


def fitting(messages: Sequence[SessionMessage], limit: int) -> int:
    """How many of these, from the first on, take at most so many bytes as JSON; at least one."""
    total = 0
    for count, message in enumerate(messages):
        total += len(msgspec.json.encode(message.content))
        if total > limit and count:
            return count
    return len(messages)


def public(record: SessionMessage | AsyncTask) -> dict[str, Any]:
    """A record as programs and models see it: of the daemon's own lineage, the origin alone."""
    fields: dict[str, Any] = msgspec.to_builtins(record)
    fields.pop("lineage", None)
    fields["origin"] = record.lineage.origin if record.lineage else "external"
    if fields.pop("sealed", ""):
        closed = "[sealed with a key that is not there]"
        fields["content" if isinstance(record, SessionMessage) else "task"] = closed
    if isinstance(record, SessionMessage):
        fields.setdefault("state", "read" if record.read else record.state)
        fields.setdefault("threadId", None)
    return fields
