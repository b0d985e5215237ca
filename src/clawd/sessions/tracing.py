"""What a trace led to, step by step across sessions: from memory, and the logs of its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from clawd.comms.manager import SessionCommsManager
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.errors import Invalid, NotFound
from clawd.messages import JSON
from clawd.sessions.registry import Registry, SessionRecord
from clawd.sessions.session import Session
from clawd.sessions.steps import Steps
from clawd.sessions.transcript import Transcript

_KINDS = ("trace-", "msg-", "task-", "turn-")


class Tracing:
    """Finds the trace of a thing, and tells its steps."""

    def __init__(
        self,
        comms: SessionCommsManager,
        sessions: Callable[[], Iterable[Session]],
        registry: Registry,
        refusals: Callable[[str], list[JSON]],
    ) -> None:
        self._comms = comms
        self._sessions = sessions
        self._registry = registry
        self._refusals = refusals

    def recent(self, limit: int) -> list[JSON]:
        """The traces that moved last, the latest last."""
        live = {t.lineage.trace for s in self._sessions() for t in s.transcript.turns.values()}
        live |= {task.lineage.trace for task in self._comms.board.open_for() if task.lineage}
        return [
            {
                "id": trace.id,
                "live": trace.id in live,
                "session": trace.session,
                "cause": trace.cause,
                "lastActivity": trace.last,
                "turns": trace.turns,
                "messages": trace.messages,
                "tasks": trace.tasks,
                "sessions": trace.created,
                "refusals": trace.refused,
                "usage": trace.usage,
            }
            for trace in self._comms.traces.recent()[-limit:]
        ]

    async def show(self, name: str, limit: int) -> JSON:
        """The trace that this id, or the beginning of one, belongs to, with its steps by time.

        At most ``limit`` steps, the first ones; ``omitted`` says how many there are beyond.
        """
        trace = await self._named(name)
        known = self._comms.traces.find(trace)
        listed = [
            session
            for session in self._sessions()
            if known is None or not known.whole or session.id in known.sessions
        ]
        transcripts = {session.id: session.transcript for session in listed}
        # Copied here, sorted out elsewhere: there may be very many.
        boxes = [list(box.all()) for box in self._comms.post.boxes()]
        tasks = self._comms.board.all()
        made = self._registry.created()
        refused = self._refusals(trace)
        return await asyncio.to_thread(
            self._gathered, trace, limit, transcripts, boxes, tasks, made, refused
        )

    def _gathered(
        self,
        trace: str,
        limit: int,
        transcripts: dict[str, Transcript],
        boxes: list[list[SessionMessage]],
        tasks: list[AsyncTask],
        made: list[SessionRecord],
        refused: list[JSON],
    ) -> JSON:
        steps = Steps(trace)
        for session, transcript in transcripts.items():
            for turn in transcript.turns_with(f'"trace":"{trace}"'):
                if turn.lineage.trace == trace:
                    steps.turn(session, turn)
        for message in (m for box in boxes for m in box if m.lineage is not None):
            if message.lineage is not None and message.lineage.trace == trace:
                steps.message(message, message.lineage)
        for task in tasks:
            if task.lineage is not None and task.lineage.trace == trace:
                steps.task(task, task.lineage)
        for record in made:
            if record.lineage is not None and record.lineage.trace == trace:
                steps.creation(record.id, record.created_by, record.time, record.lineage)
        for each in refused:
            steps.refusal(each)
        return steps.as_json(limit)

    async def _named(self, name: str) -> str:
        """The trace of a trace, message, task or turn, by its id or the beginning of one."""
        if not name.startswith(_KINDS):
            raise NotFound(
                "unknown_trace",
                f"{name[:80]!a} is no id of a trace, message, task or turn",
                hint="clawd trace lists the latest traces",
            )
        found = set(self._comms.traces.beginning_with(name))
        if name.startswith("msg-"):
            boxes = [list(box.all()) for box in self._comms.post.boxes()]
            found |= {
                m.lineage.trace
                for box in boxes
                for m in box
                if m.id.startswith(name) and m.lineage is not None
            }
        elif name.startswith("task-"):
            listed = (t for t in self._comms.board.all() if t.id.startswith(name))
            found |= {task.lineage.trace for task in listed if task.lineage is not None}
        else:
            everyone = [session.transcript for session in self._sessions()]
            key = "id" if name.startswith("turn-") else "trace"
            found |= (
                await asyncio.to_thread(_traces_of, everyone, key, name) if not found else set()
            )
        if len(found) > 1:
            some = ", ".join(sorted(found)[:4])
            raise Invalid("ambiguous_id", f"{name!a} fits several: {some}", hint="give more of it")
        if not found:
            raise NotFound(
                "unknown_trace",
                f"nothing with the id {name[:80]!a} belongs to a trace",
                hint="clawd trace lists the latest",
            )
        return found.pop()


def _traces_of(transcripts: list[Transcript], key: str, prefix: str) -> set[str]:
    """The traces (BLOCKS) of the turns whose own id, or trace, begins with this."""
    needle = f'"{key}":"{prefix}'
    return {
        turn.lineage.trace
        for transcript in transcripts
        for turn in transcript.turns_with(needle)
        if (turn.id if key == "id" else turn.lineage.trace).startswith(prefix)
    }
