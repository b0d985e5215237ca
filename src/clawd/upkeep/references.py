"""What records say of each other: ids that nobody has, and ids that two have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clawd.comms.models import AsyncTask, SessionMessage
from clawd.sessions.records import OPEN, MessageRecord, TurnRecord
from clawd.upkeep.findings import FileReport, Finding

Looked = tuple[FileReport, Mapping[str, Any]]


def cross_check(looked: Iterable[Looked]) -> None:
    """Add to the reports what does not fit together.

    Mail may be pruned and old tasks are forgotten, so a reference into nothing is a note; it is
    damage where what is missing cannot have been taken away in good order.
    """
    every = list(looked)
    messages: dict[str, str] = {}
    tasks: dict[str, AsyncTask] = {}
    for report, records in every:
        for key, record in records.items():
            if isinstance(record, AsyncTask):
                tasks[key] = record
            elif isinstance(record, SessionMessage):
                if key in messages and messages[key] != str(report.path):
                    text = f"message {key} stands in {messages[key]} as well"
                    report.findings.append(Finding("damage", "twice", text))
                messages.setdefault(key, str(report.path))
    for report, records in every:
        if report.what == "transcript":
            report.findings += _transcript(records, messages, tasks)
        elif report.what == "tasks":
            report.findings += _tasks(tasks)


def _transcript(
    records: Mapping[str, Any], messages: Mapping[str, str], tasks: Mapping[str, AsyncTask]
) -> Iterator[Finding]:
    turns = {key: record for key, record in records.items() if isinstance(record, TurnRecord)}
    lost = {
        record.turn
        for record in records.values()
        if isinstance(record, MessageRecord) and record.turn and record.turn not in turns
    }
    for name in sorted(lost):
        yield Finding("note", "lost_turn", f"has messages of {name}, but not the turn itself")
    for turn_id, turn in turns.items():
        if turn.status not in OPEN or turn.trigger.kind not in ("message", "task"):
            continue
        known: Mapping[str, Any] = messages if turn.trigger.kind == "message" else tasks
        for gone in (i for i in turn.trigger.ids if i not in known):
            text = f"{turn_id} is open for {turn.trigger.kind} {gone}, which is gone"
            yield Finding("note", "gone", text)


def _tasks(tasks: Mapping[str, AsyncTask]) -> Iterator[Finding]:
    for task in tasks.values():
        if task.final:
            continue
        named = (*task.depends_on, *([task.parent_task] if task.parent_task else ()))
        for gone in (i for i in named if i not in tasks):
            yield Finding("note", "gone", f"open task {task.id} names task {gone}, which is gone")
