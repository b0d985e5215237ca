"""What happened: the closed union of clawd's own events.

Names and field names are those of seed 002 (``event``, ``run_id``, ``message_id``,
``tool_call_id`` …); messages and tasks inside an event keep the camelCase of seed 004. A
protocol's dialect is a pure function of these. Deltas (``text_message_content``) are never
durable; the ends of things are.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from clawd.messages import JSON, Usage


class Event(msgspec.Struct, frozen=True, tag_field="event", omit_defaults=True, kw_only=True):
    """The root of all events; ``session`` is whose stream it belongs to, "" the daemon's."""

    session: str = ""
    trace: str = ""


class RunEvent(Event, frozen=True, kw_only=True):
    """Something in one turn: ``run_id`` is the turn's id."""

    run_id: str


class PromptQueued(RunEvent, frozen=True, tag="prompt_queued", kw_only=True):
    """A user line is durable and waits for its turn; ``ahead`` turns come first."""

    text: str
    ahead: int


class RunStarted(RunEvent, frozen=True, tag="run_started", kw_only=True):
    """A turn begins; ``trigger`` is user, message, task, schedule or client.

    ``trigger_ids`` are the ids of the messages, or of the task, that it begins with; ``resumed``
    that it began before and goes on where it was cut off.
    """

    agent_name: str
    trigger: str
    input_message: str
    source: str = ""
    trigger_ids: tuple[str, ...] = ()
    attempt: int = 1
    resumed: bool = False


class TextMessageStart(RunEvent, frozen=True, tag="text_message_start", kw_only=True):
    """The model begins to speak."""

    message_id: str
    role: str = "assistant"


class TextMessageContent(RunEvent, frozen=True, tag="text_message_content", kw_only=True):
    """Some more text; ``delta`` is always true: ``content`` is what came since the last."""

    message_id: str
    content: str
    delta: bool


class TextMessageEnd(RunEvent, frozen=True, tag="text_message_end", kw_only=True):
    """The whole text of a message; ``partial`` when the stream ended before the model did."""

    message_id: str
    full_content: str
    partial: bool = False


class ToolCallStart(RunEvent, frozen=True, tag="tool_call_start", kw_only=True):
    """A tool is about to run, with the arguments that the model gave."""

    tool_call_id: str
    tool_name: str
    arguments: Any


class ToolCallProgress(RunEvent, frozen=True, tag="tool_call_progress", kw_only=True):
    """A running tool says how far it is."""

    tool_call_id: str
    message: str


class ToolCallEnd(RunEvent, frozen=True, tag="tool_call_end", kw_only=True):
    """A tool answered; ``result`` is the text that the model reads."""

    tool_call_id: str
    tool_name: str
    result: str
    duration_ms: float
    success: bool


class ToolCallError(RunEvent, frozen=True, tag="tool_call_error", kw_only=True):
    """A tool refused, failed or was never there; ``error`` is the error object."""

    tool_call_id: str
    tool_name: str
    error: JSON
    duration_ms: float


class RunFinished(RunEvent, frozen=True, tag="run_finished", kw_only=True):
    """A turn ended with the model's final text."""

    final_message: str
    usage: Usage = Usage()


class RunFailed(RunEvent, frozen=True, tag="run_failed", kw_only=True):
    """A turn ended without a final text; a cancelled one has the code ``cancelled``."""

    error: JSON
    usage: Usage = Usage()


class RunSuspended(RunEvent, frozen=True, tag="run_suspended", kw_only=True):
    """A turn stands still, and goes on with ``run_started``.

    ``reason`` is ``paused`` when its session is paused, or stops, and ``approval`` while a human
    has something to decide or to answer.
    """

    usage: Usage = Usage()
    reason: Literal["paused", "approval"] = "paused"


class UsageReported(RunEvent, frozen=True, tag="usage", kw_only=True):
    """One model call was made, with this model, at this cost."""

    model: str
    usage: Usage


class SessionMessageChanged(Event, frozen=True, tag="session_message", kw_only=True):
    """A message between sessions was stored or changed its state (the whole record)."""

    message: Any


class TaskUpdated(Event, frozen=True, tag="task_updated", kw_only=True):
    """A task came into being or changed its state (the whole record)."""

    task: Any


class SessionCreated(Event, frozen=True, tag="session_created", kw_only=True):
    """A session exists from now on; ``created_by`` is "" for one from the configuration."""

    name: str
    created_by: str = ""


class SessionChanged(Event, frozen=True, tag="session_changed", kw_only=True):
    """A session's settings or state changed, in one line for a human."""

    change: str


class SessionRemoved(Event, frozen=True, tag="session_removed", kw_only=True):
    """A session is gone; its workspace stays."""


class Notice(Event, frozen=True, tag="notice", kw_only=True):
    """One line that the operator should see; ``code`` is stable, ``text`` for a human.

    ``guard`` is the error object of a bound that was reached, ``parent`` the turn, or whatever
    else it was, that would have gone past it.
    """

    code: str
    text: str
    level: Literal["info", "warning", "error"] = "info"
    guard: JSON | None = None
    parent: str = ""


class ApprovalRequested(RunEvent, frozen=True, tag="approval_requested", kw_only=True):
    """A turn waits for a yes, or for an answer, of the human (the whole record)."""

    approval: Any


class ApprovalSettled(RunEvent, frozen=True, tag="approval_settled", kw_only=True):
    """It was allowed, denied, answered, withdrawn, or its time is over (the whole record)."""

    approval: Any


class Missed(Event, frozen=True, tag="missed", kw_only=True):
    """A viewer was too slow, or came too late: ``count`` events were not delivered to it."""

    count: int


NAMES: dict[type[Event], str] = {
    kind: str(kind.__struct_config__.tag)
    for kind in (
        PromptQueued, RunStarted, TextMessageStart, TextMessageContent, TextMessageEnd,
        ToolCallStart, ToolCallProgress, ToolCallEnd, ToolCallError, RunFinished, RunFailed,
        RunSuspended, UsageReported, SessionMessageChanged, TaskUpdated, SessionCreated,
        SessionChanged, SessionRemoved, Notice, ApprovalRequested, ApprovalSettled, Missed,
    )
}  # fmt: skip
"""Every kind of event with its name on the wire."""
