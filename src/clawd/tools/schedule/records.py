"""One line of ``schedules.jsonl``: what is due when, and how the last run went."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from clawd.config.schedules import Missed
from clawd.fences import SHOWN, quoted
from clawd.lineage import Budget, Origin
from clawd.messages import JSON
from clawd.timing.recurrence import When

FILE_NAME = "schedules.jsonl"

CONFIG = "config"
"""Who made a schedule that stands in ``config.json``."""

Result = Literal["open", "ok", "failed", "cancelled", "unknown"]
State = Literal["active", "running", "paused", "done"]


class Run(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One run: the turn ``turn`` for the time ``due``.

    It is stored before its turn is, so that a time is never begun twice; ``unknown`` is the
    result of one that the daemon did not survive several times.
    """

    due: str
    turn: str
    result: Result = "open"
    ended: str = ""
    error: str = ""
    manual: bool = False


class Schedule(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A schedule as it is; the last line for an id counts.

    Times are UTC, ISO 8601. ``since`` is what periods are counted from; ``next`` the next due
    time, "" for none; ``fired`` the latest that a run began for; ``quiet`` how often the pace of
    a heartbeat has been halved because nobody reads it, ``message`` its latest message.
    ``origin``, ``untrusted`` and ``budget`` are those of what made it, for the runs.
    """

    id: str
    time: str
    text: str
    when: When
    created_by: str
    created_at: str
    since: str
    missed: Missed = "run"
    heartbeat: bool = False
    origin: Origin = "operator"
    untrusted: bool = False
    budget: Budget | None = None
    next: str = ""
    fired: str = ""
    open: Run | None = None
    last: Run | None = None
    paused: bool = False
    reason: str = ""
    runs: int = 0
    failures: int = 0
    skipped: int = 0
    quiet: int = 0
    message: str = ""
    deleted: bool = False
    sealed: str = ""

    @property
    def configured(self) -> bool:
        """Whether it stands in ``config.json``."""
        return self.created_by == CONFIG

    @property
    def state(self) -> State:
        """What it is doing."""
        if self.open is not None:
            return "running"
        if self.paused:
            return "paused"
        return "active" if self.next else "done"


def blank(record: Schedule) -> dict[str, Any]:
    """The fields that hold what was said, with what stands for them in a sealed line."""
    last = record.last
    bare = msgspec.structs.replace(last, error="") if last is not None else None
    return {"text": "", "reason": "", "last": bare}


def public(session: str, schedule: Schedule) -> JSON:
    """A schedule as programs and models see it."""
    fields: JSON = msgspec.to_builtins(schedule)
    for name in ("time", "sealed", "deleted", "budget", "since", "message", "fired", "when"):
        fields.pop(name, None)
    when = {k: v for k, v in msgspec.to_builtins(schedule.when).items() if v}
    shown = {
        "id": schedule.id,
        "session": session,
        "state": schedule.state,
        **when,
        "describes": schedule.when.describe(),
        "next": schedule.next or None,
        "missed": schedule.missed,
        "heartbeat": schedule.heartbeat,
        "paused": schedule.paused,
        "origin": schedule.origin,
        "runs": schedule.runs,
        "failures": schedule.failures,
        "skipped": schedule.skipped,
    }
    return shown | {name: value for name, value in fields.items() if name not in shown}


def line(schedule: Schedule) -> str:
    """A schedule on one line."""
    parts = [f"{schedule.id}: {schedule.state}", schedule.when.describe()]
    if schedule.next and not schedule.paused:
        parts.append(f"next {schedule.next}")
    if schedule.last is not None:
        error = f" ({quoted(schedule.last.error, 80)})" if schedule.last.error else ""
        parts.append(f"last run {schedule.last.result}{error}")
    if schedule.reason:
        parts.append(schedule.reason)
    return f"- {', '.join(parts)}: {quoted(schedule.text, SHOWN // 3)}"
