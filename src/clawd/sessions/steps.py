"""The steps of one trace as a listing has them: turns, messages, tasks, creations, refusals."""

from __future__ import annotations

from clawd.comms.models import AsyncTask, SessionMessage
from clawd.errors import Invalid
from clawd.ids import made_at, now, seconds_of
from clawd.lineage import Lineage
from clawd.messages import JSON, Usage
from clawd.sessions.records import OPEN, TurnRecord

_TEXT = 200


class Steps:
    """Collects the steps; each names its ``parent``, the step that it comes from."""

    def __init__(self, trace: str) -> None:
        self._trace = trace
        self._steps: list[JSON] = []
        self._counts = {"turns": 0, "messages": 0, "tasks": 0, "sessions": 0, "refusals": 0}
        self._usage = Usage()
        self._hops = 0
        self._live = False

    def turn(self, session: str, turn: TurnRecord) -> None:
        """A turn; it comes from the first of the messages, or the task, that started it."""
        is_open = turn.status in OPEN
        began = turn.started_at or made_at(turn.id) or turn.time
        step: JSON = {
            "kind": "turn",
            "id": turn.id,
            "parent": turn.trigger.ids[0] if turn.trigger.ids else "",
            "session": session,
            "trigger": turn.trigger.kind,
            "triggerIds": list(turn.trigger.ids),
            "state": turn.status,
            "time": began,
            "text": turn.trigger.text[:_TEXT],
        }
        if turn.started_at and (turn.ended_at or is_open):
            step["seconds"] = _between(turn.started_at, turn.ended_at or now())
        if turn.usage is not None:
            step["usage"] = turn.usage
            self._usage += turn.usage
        if turn.error is not None:
            step["error"] = turn.error
        self._add("turns", step, turn.lineage, is_open)

    def message(self, message: SessionMessage, lineage: Lineage) -> None:
        """A message; it comes from the turn that sent it."""
        step: JSON = {
            "kind": "message",
            "id": message.id,
            "parent": lineage.parent,
            "from": message.from_,
            "to": message.to,
            "type": message.type,
            "state": "read" if message.read and message.state == "stored" else message.state,
            "time": message.timestamp,
            "text": message.content[:_TEXT],
        }
        if message.delivered_at:
            step["seconds"] = _between(message.timestamp, message.delivered_at)
        if message.reason:
            step["reason"] = message.reason
        self._add("messages", step, lineage, message.waits and message.state != "held")

    def task(self, task: AsyncTask, lineage: Lineage) -> None:
        """A task; it comes from the turn that delegated it."""
        step: JSON = {
            "kind": "task",
            "id": task.id,
            "parent": lineage.parent,
            "from": task.from_session,
            "to": task.to_session,
            "state": task.status,
            "time": task.created_at,
            "seconds": _between(task.created_at, task.completed_at or now()),
            "text": task.task[:_TEXT],
        }
        if task.reason:
            step["reason"] = task.reason
        self._add("tasks", step, lineage, not task.final)

    def creation(self, session: str, creator: str, time: str, lineage: Lineage) -> None:
        """A session that was made."""
        step: JSON = {
            "kind": "session",
            "id": session,
            "parent": lineage.parent,
            "from": creator,
            "time": time,
        }
        self._add("sessions", step, lineage, live=False)

    def refusal(self, notice: JSON) -> None:
        """What a guard refused, from the notice of it."""
        step = {"kind": "refusal", **notice}
        self._add("refusals", step, Lineage(self._trace), live=False)
        self._counts["refusals"] += notice.get("count", 1) - 1

    def as_json(self, limit: int) -> JSON:
        """The trace: what it came to, and its first ``limit`` steps by time."""
        steps = sorted(self._steps, key=lambda step: (step["time"], step["id"]))
        times = [step["time"] for step in steps]
        return {
            "id": self._trace,
            "live": self._live,
            "startedAt": times[0] if times else made_at(self._trace),
            "lastActivity": times[-1] if times else "",
            "hops": self._hops,
            **self._counts,
            "usage": self._usage,
            "steps": steps[:limit],
            "omitted": max(0, len(steps) - limit),
        }

    def _add(self, kind: str, step: JSON, lineage: Lineage, live: bool) -> None:
        self._counts[kind] += 1
        self._hops = max(self._hops, lineage.hops)
        self._live = self._live or live
        self._steps.append(step)


def _between(start: str, end: str) -> float:
    try:
        return round(max(0.0, seconds_of(end) - seconds_of(start)), 3)
    except Invalid:
        return 0.0
