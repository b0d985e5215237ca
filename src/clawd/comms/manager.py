"""The one ``SessionCommsManager``: every session, the terminal and the gateway go through it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from clawd.bus.port import MessageBus
from clawd.comms.assignments import Assignments
from clawd.comms.board import TaskBoard
from clawd.comms.caller import Caller
from clawd.comms.clock import Clock
from clawd.comms.creation import SessionCreation
from clawd.comms.directory import Directory, Entry
from clawd.comms.guards import Guards
from clawd.comms.mailbox import Mailbox
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.comms.post import Post
from clawd.comms.settling import Settling
from clawd.comms.traces import Stored, Traces
from clawd.config.schema import Limits
from clawd.errors import ClawdError, Invalid
from clawd.events import Event
from clawd.ids import OPERATOR
from clawd.messages import JSON, Usage
from clawd.storage.sealing import Sealing
from clawd.storage.writer import Writer

log = logging.getLogger("clawd.messages")

OPERATOR_FILE = "operator_messages.jsonl"
"""The operator's mailbox, in the state folder."""

Status = Literal["idle", "busy", "paused", "failed", "disabled"]


class Host(Protocol):
    """What messages and tasks need of the sessions above them."""

    def status(self, session_id: str) -> Status:
        """What the session is doing."""
        ...

    def queue(self, session_id: str) -> int:
        """How many requests wait for it."""
        ...

    async def create(self, caller: Caller, wanted: SessionCreation) -> Entry:
        """Create and start a session, all or nothing."""
        ...

    def templates(self) -> list[JSON]:
        """The provider templates, without keys."""
        ...

    async def outputs(self, session_id: str, limit: int) -> list[JSON]:
        """The latest final texts of a session, oldest first."""
        ...

    async def stop_work(self, task: AsyncTask) -> None:
        """Stop the turn that works on this task, if one runs."""
        ...


class SessionCommsManager:
    """Owns the mailboxes (``post``), the tasks (``tasks``) and the directory of sessions."""

    def __init__(
        self,
        state: Path,
        bus: MessageBus,
        writer: Writer,
        clock: Clock,
        emit: Callable[[Event], object],
        limits: Callable[[str], Limits],
        retention_hours: Callable[[], float],
        sealing: Sealing | None = None,
        spent: Callable[[str], Usage | None] = lambda _: None,
    ) -> None:
        self.directory = Directory()
        self.traces = Traces(self._of_trace)
        self.guards = Guards(limits, emit, self.traces, self.directory.chain)
        mailbox = partial(Mailbox, writer=writer, sealing=sealing)
        self.post = Post(
            self.directory, self.guards, self.traces, bus, mailbox, clock, emit, limits
        )
        self.settling = Settling(self.post, self.guards, clock.later, limits)
        self.board = TaskBoard(state / "tasks.jsonl", writer, sealing, spent)
        self.tasks = Assignments(
            self.board,
            self.post,
            self.directory,
            self.guards,
            self.traces,
            bus,
            clock,
            emit,
            limits,
            self._stop_work,
        )
        self.limits = limits
        self._state = state
        self._retention_hours = retention_hours
        self._host: Host | None = None

    @property
    def host(self) -> Host:
        """The sessions; known once ``attach`` was called."""
        if self._host is None:
            raise ClawdError("not_started", "the sessions are not attached yet")
        return self._host

    def attach(self, host: Host) -> None:
        """Name the sessions that this manager serves."""
        self._host = host

    def load(self) -> list[str]:
        """Read the operator's mailbox and the tasks (blocking); what was wrong, in words."""
        problems = [*self.post.open(OPERATOR, self._state / OPERATOR_FILE), *self.board.load()]
        for task in self.board.all():
            self.traces.delegated(task)
        return problems

    async def resume(self) -> None:
        """After a start: publish again what is unread and unfinished, tell what was not told."""
        await self.settling.sweep()
        self.settling.resume()
        for box in list(self.post.boxes()):
            self.post.wake_all(box.owner)
        await self.tasks.resume()
        # Behind what was not told: a verdict outlives the time for which its task is kept.
        await self.sweep()

    async def sweep(self) -> None:
        """Let mail expire, forget tasks past the retention, rewrite files of mostly old lines.

        What the disk refuses is left to the next sweep, and keeps nothing else from being done.
        """
        await self.settling.sweep()
        for box in list(self.post.boxes()):
            if box.wasteful():
                await _if_it_can_be(box.compact())
        await _if_it_can_be(self.board.forget_older(self._retention_hours()))
        self.guards.sends.sweep()
        self.guards.autonomous.sweep()

    def standing(self, session: str) -> JSON:
        """``{targetStatus: "paused"}`` of a session that is: its mail and tasks wait."""
        known = self.directory.get(session) is not None
        return {"targetStatus": "paused"} if known and self._is_paused(session) else {}

    def _is_paused(self, session: str) -> bool:
        return self.host.status(session) == "paused"

    def search(self, owner: str, **filters: Any) -> list[SessionMessage]:
        """The messages of one mailbox, oldest first (see ``matching``)."""
        return matching(self.post.box(owner).all(), **filters)

    def all_tasks(self, status: str | None = None) -> list[AsyncTask]:
        """Every task that a listing shows, oldest first."""
        shown = self.board.listed(self._retention_hours())
        return [task for task in shown if status in (None, task.status)]

    def tasks_of(
        self, session: str, *, created: bool, assigned: bool, status: str | None = None
    ) -> list[AsyncTask]:
        """The tasks of a session by its part in them (a union), oldest first."""
        return [
            task
            for task in self.all_tasks(status)
            if (created and task.from_session == session)
            or (assigned and task.to_session == session)
        ]

    async def broadcast(
        self, caller: Caller, content: str, capability: str | None, thread: str | None
    ) -> tuple[list[SessionMessage], list[tuple[str, ClawdError]]]:
        """Send to every visible session but the sender, once; it counts as one send."""
        targets = self.directory.find(caller.session, capability)
        if not targets:
            raise Invalid(
                "nobody",
                "no session that you may see would receive this",
                hint="list_agents shows who is there",
            )
        self.guards.rate(caller.lineage.step(caller.turn, caller.session), caller.session)
        sent: list[SessionMessage] = []
        refused: list[tuple[str, ClawdError]] = []
        for entry in targets:
            try:
                sent.append(
                    await self.post.send(caller, entry.id, content, thread=thread, counted=False)
                )
            except ClawdError as error:
                refused.append((entry.id, error))
        if not sent:
            raise refused[0][1]
        return sent, refused

    def _of_trace(self, trace: str) -> Stored:
        messages = (
            message
            for box in list(self.post.boxes())
            for message in list(box.all())
            if message.lineage is not None and message.lineage.trace == trace
        )
        tasks = (t for t in self.board.all() if t.lineage and t.lineage.trace == trace)
        return messages, tasks

    async def _stop_work(self, task: AsyncTask) -> None:
        await self.host.stop_work(task)


async def _if_it_can_be(done: Awaitable[object]) -> None:
    try:
        await done
    except ClawdError as error:
        log.warning("left to the next sweep: %s", error)


def matching(
    messages: Any,
    *,
    unread: bool = False,
    thread: str | None = None,
    sender: str | None = None,
    state: str | None = None,
    query: str | None = None,
    before: str | None = None,
    limit: int | None = None,
) -> list[SessionMessage]:
    """The newest ``limit`` messages that fit every filter, oldest first.

    ``query`` wants all its words in the text, sender or thread; ``before`` is a message id.
    """
    words = (query or "").casefold().split()
    found = [
        m
        for m in messages
        if (not unread or m.waits)
        and thread in (None, m.thread_id)
        and sender in (None, m.from_)
        and state in (None, m.state)
        and (before is None or m.id < before)
        and all(word in f"{m.content} {m.from_} {m.thread_id or ''}".casefold() for word in words)
    ]
    return found if limit is None else found[-limit:] if limit > 0 else []
