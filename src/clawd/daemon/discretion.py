"""What a log may say of a session whose content is sealed: what happened, never what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from clawd.comms.models import AsyncTask, SessionMessage
from clawd.comms.models import blank as blank_record
from clawd.events import Event, Notice, SessionMessageChanged, TaskUpdated
from clawd.stream import Published

_TOLD = frozenset(
    {
        *("event", "session", "trace", "run_id", "message_id", "tool_call_id", "code", "level"),
        *("ahead", "agent_name", "trigger", "source", "trigger_ids", "attempt", "role", "partial"),
        *("tool_name", "duration_ms", "success", "usage", "model", "name", "created_by", "change"),
        *("count", "limit", "value", "scope"),
    }
)
"""The fields of events that hold none of what was said."""
_WORDS_OF_OTHERS = frozenset({"fell_back", "compaction_failed"})
"""Notices that quote an endpoint, which may quote what it was sent."""


def parties(event: Event) -> tuple[str, ...]:
    """The sessions that an event is about: both ends of a message or a task."""
    ends: tuple[str, ...]
    match event:
        case SessionMessageChanged(message=message):
            ends = (message.from_, message.to)
        case TaskUpdated(task=task):
            ends = (task.from_session, task.to_session)
        case _:
            ends = (event.session,)
    return tuple(dict.fromkeys(filter(None, ends)))


def logged(published: Published, ends: Iterable[str], private: Callable[[str], bool]) -> bytes:
    """The event as a log has it: as everyone sees it, or without content for private sessions.

    ``ends`` are the sessions that it is about.
    """
    if not any(map(private, ends)):
        return published.encoded()
    facts = {"seq": published.seq, "time": published.time} | _without_content(published.event)
    return msgspec.json.encode(facts)


def _without_content(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    told = {name: value for name, value in fields.items() if name in _TOLD}
    match fields.get("error"):
        case {"error": code}:
            told["error"] = {"error": code}
    match event:
        case SessionMessageChanged(message=record) | TaskUpdated(task=record):
            name = "message" if isinstance(event, SessionMessageChanged) else "task"
            told[name] = _bare(record)
    if isinstance(event, Notice):
        told["text"] = kept_text(event, lambda _: True)
    return told


def kept_text(notice: Notice, private: Callable[[str], bool]) -> str:
    """The text of a notice as it may be kept: without what an endpoint said of private content."""
    if notice.code in _WORDS_OF_OTHERS and private(notice.session):
        return "(what the endpoint said is not kept: this session's content is sealed)"
    return notice.text


def _bare(record: SessionMessage | AsyncTask) -> Any:
    return msgspec.to_builtins(msgspec.structs.replace(record, **blank_record(record)))
