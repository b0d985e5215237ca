"""The life of a task: delegated, started, ended once, and its creator always told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from clawd.bus.port import Envelope, MessageBus
from clawd.comms.board import TaskBoard, already_final, unknown_task
from clawd.comms.caller import Caller
from clawd.comms.checks import check_content, check_context, encoded
from clawd.comms.clock import Clock
from clawd.comms.dependencies import brought_along, done, unmet
from clawd.comms.directory import Directory
from clawd.comms.drafts import chained, check_deadline, drafted
from clawd.comms.evidence import check_evidence, marked, stamped
from clawd.comms.guards import Guards
from clawd.comms.models import AsyncTask
from clawd.comms.post import Post
from clawd.comms.traces import Traces
from clawd.comms.trying import surely
from clawd.comms.verdicts import PARENT_ENDED, Verdicts, lineage_of
from clawd.config.schema import Limits
from clawd.errors import ClawdError, Invalid
from clawd.events import Event, TaskUpdated
from clawd.ids import OPERATOR, now, seconds_of

log = logging.getLogger("clawd.tasks")


class Assignments:
    """Delegates, starts and ends tasks."""

    def __init__(
        self,
        board: TaskBoard,
        post: Post,
        directory: Directory,
        guards: Guards,
        traces: Traces,
        bus: MessageBus,
        clock: Clock,
        emit: Callable[[Event], object],
        limits: Callable[[str], Limits],
        stop_work: Callable[[AsyncTask], Awaitable[object]],
    ) -> None:
        self.board = board
        self.verdicts = Verdicts(board, post, directory, bus, clock, emit)
        self._directory = directory
        self._guards = guards
        self._traces = traces
        self._bus = bus
        self._clock = clock
        self._emit = emit
        self._limits = limits
        self._stop_work = stop_work
        post.holds_thread = self.holds_thread

    def holds_thread(self, session: str, thread: str) -> bool:
        """The thread of a task is for its creator and its worker alone."""
        task = self.board.find(thread)
        return task is None or session in (task.from_session, task.to_session, OPERATOR)

    def seen_by(self, session: str, task_id: str) -> AsyncTask:
        """A task that this session may know of; others are told that there is none."""
        task = self.board.find(task_id)
        if task is None or session not in (task.from_session, task.to_session, OPERATOR):
            raise unknown_task(task_id)
        return task

    async def delegate(
        self,
        caller: Caller,
        to: str,
        task: str,
        *,
        context: dict[str, Any] | None = None,
        priority: int = 5,
        deadline_seconds: float | None = None,
        depends_on: tuple[str, ...] = (),
        retry_of: str | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncTask:
        """Give a session a task; durable when this returns, the work happens later."""
        limits = self._limits(caller.session)
        self._directory.address(caller.session, to, "delegate")
        lineage = caller.lineage.step(caller.turn, caller.session)
        size, room = check_content(task, "task"), limits.max_message_bytes
        self._guards.size(lineage, caller.session, "task", size, room)
        size, room = check_context(context), limits.max_context_bytes
        self._guards.size(lineage, caller.session, "context", size, room)
        check_deadline(deadline_seconds)
        for needed in depends_on:
            self.seen_by(caller.session, needed)
        lineage = chained(caller, lineage)
        created = self.board.expected(creator=caller.session)
        assigned = self.board.expected(worker=to)
        self._guards.task(lineage, caller.session, to, created, assigned)
        record = drafted(
            caller.session,
            to,
            task,
            lineage,
            self.board.find(caller.task),
            deadline_seconds,
            context=context,
            priority=priority,
            depends_on=depends_on,
            retry_of=retry_of,
            idempotency_key=idempotency_key,
        )
        try:
            await self.board.add(record)
        except asyncio.CancelledError:
            # Whoever gives it is stopped meanwhile; it is given all the same.
            self._arrived(record)
            self._clock.later(0, lambda: self.publish(record))
            raise
        self._arrived(record)
        await self.publish(record)
        return self.board.get(record.id)

    def _arrived(self, task: AsyncTask) -> None:
        self._traces.delegated(task)
        self._tell(task)
        self._watch(task)

    async def publish(self, task: AsyncTask) -> None:
        """Put an open task on its way: to its worker's inbox, once what it depends on is done."""
        if self.board.get(task.id).final or task.sealed:
            return
        if name := unmet(task, self.board.find):
            error = f"task {name}, which this depends on, did not complete"
            await self._surely_end(task, "failed", error=error, reason="dependency")
        elif done(task, self.board.find) and task.to_session != OPERATOR:
            self._bus.publish(
                Envelope(task.id, "task", task.to_session, lineage_of(task), task.priority)
            )

    def _watch(self, task: AsyncTask) -> None:
        if task.deadline is not None:
            left = seconds_of(task.deadline) - seconds_of(now())
            why = {"error": "its deadline passed", "reason": "deadline"}
            overdue = partial(self._surely_end, task, "failed", stop=True, **why)
            self._clock.later(max(0.0, left), overdue)

    async def start(self, task_id: str) -> AsyncTask | None:
        """The worker's turn begins; ``None`` when the task has ended meanwhile.

        A task that was started too often fails with that reason.
        """
        task = await self.board.settled(task_id)
        if task is None or task.final:
            return None
        if task.attempt >= task.max_attempts:
            await self.end(
                task, "failed", error=f"given up after {task.attempt} attempts", reason="attempts"
            )
            return None
        try:
            task = await self.board.change(
                task,
                status="processing",
                started_at=task.started_at or now(),
                attempt=task.attempt + 1,
                **brought_along(task, self.board.find),
            )
        except asyncio.CancelledError:
            # Stored all the same, and no turn comes of it.
            self._clock.later(0, lambda: self._surely(task, lambda: self.suspended(task_id)))
            raise
        self._tell(task)
        return task

    async def complete(
        self,
        caller: Caller,
        task_id: str,
        *,
        result: str | None,
        error: str | None,
        evidence: list[str] | None = None,
    ) -> AsyncTask:
        """The worker's verdict, or the operator's, which stops its turn; repeating is harmless."""
        task = await self.board.settled(task_id)
        if task is None or caller.session not in (task.to_session, OPERATOR):
            raise unknown_task(task_id)
        if (result is None) == (error is None):
            raise Invalid(
                "result_or_error",
                "give exactly one of result and error",
                hint="an empty result is allowed",
            )
        encoded(result or error or "", "result")
        status = "completed" if error is None else "failed"
        if task.final:
            if (task.status, task.result, task.error) == (status, result, error):
                return task
            raise already_final(task)
        check_evidence(caller, evidence or [])
        verdict: dict[str, Any] = {"result": result} if error is None else {"error": error}
        stop = caller.session != task.to_session
        return await self.end(task, status, stop=stop, **stamped(caller, task), **verdict)

    async def cancel(
        self, session: str, task_id: str, reason: str | None, *, untrusted: bool = False
    ) -> AsyncTask:
        """Creator, worker or operator call the task off; the worker's turn is stopped.

        A worker that does so itself goes on with its turn; what it still says is ignored.
        ``untrusted``: who gives the reason has read text from outside.
        """
        await self.board.settled(task_id)
        task = self.seen_by(session, task_id)
        if task.final:
            if task.status == "cancelled":
                return task
            raise already_final(task)
        why = {"reason": reason or f"cancelled by {session}", "lineage": marked(task, untrusted)}
        return await self.end(task, "cancelled", stop=session != task.to_session, **why)

    async def turn_finished(self, caller: Caller, task_id: str, text: str) -> None:
        """A turn for this task ended without a verdict: its final text is the result.

        While tasks that it made for this one are open it goes on, and their results continue it.
        """
        task = await self.board.settled(task_id)
        if task is None or task.final or self.verdicts.awaited(task):
            return
        if text.strip():
            await self.end(task, "completed", result=text, **stamped(caller, task))
        else:
            await self.end(task, "failed", error="the turn ended without a result", reason="empty")

    async def turn_failed(self, task_id: str, error: ClawdError, *, again: bool) -> bool:
        """A turn for this task failed; whether it is to be tried once more."""
        task = await self.board.settled(task_id)
        if task is None or task.final:
            return False
        if again and task.attempt < task.max_attempts:
            return True
        await self.end(task, "failed", error=error.message, reason=error.code)
        return False

    async def suspended(self, task_id: str) -> None:
        """The worker's session stops in good order: the start that this cuts off does not count."""
        task = self.board.find(task_id)
        if task is not None and not task.final:
            await self.board.change(task, attempt=max(0, task.attempt - 1))

    async def input_required(self, task_id: str, *, started: bool) -> None:
        """Its turn stands still until somebody has answered; the start that it was is not counted.

        ``started``: it was one, and not a turn that goes on with the results of others.
        """
        task = self.board.find(task_id)
        if task is not None and not task.final:
            attempt = max(0, task.attempt - started)
            self._tell(await self.board.change(task, status="input_required", attempt=attempt))

    async def goes_on(self, task_id: str | None) -> None:
        """Its turn goes on with what was answered; nothing for one that asked nothing."""
        task = self.board.find(task_id)
        if task is not None and task.status == "input_required":
            self._tell(await self.board.change(task, status="processing"))

    async def end(
        self, task: AsyncTask, status: Any, *, stop: bool = False, **fields: Any
    ) -> AsyncTask:
        """Make a task final, stop what it started, and tell its creator and its dependants.

        ``stop``: the turn that works on it, too. Only when the verdict itself cannot be stored
        does this raise; what follows from it is tried until it is done.
        """
        ended = task
        try:
            ended = await self.board.finish(task, status, **fields)
            self._tell(ended)
            await self._follow(ended, stop)
        except asyncio.CancelledError:
            # The turn that ends it is stopped meanwhile; what follows must not be lost with it.
            if not ended.final:
                ended = self.board.get(task.id)
                self._tell(ended)
            self._clock.later(0, lambda: self._follow(ended, stop))
            raise
        return ended

    async def _follow(self, ended: AsyncTask, stop: bool) -> None:
        """What a verdict leads to; doing it again changes nothing."""
        self._bus.withdraw(ended.to_session, ended.id)
        for child in self.board.open_for(parent=ended.id):
            await self._surely_end(child, "cancelled", reason=PARENT_ENDED, stop=True)
        await self.verdicts.announce(ended)
        for dependant in self.board.open_for():
            if ended.id in dependant.depends_on and dependant.status == "pending":
                await self.publish(dependant)
        if stop:
            await self._surely(ended, lambda: self._stop_work(ended))

    async def _surely_end(self, task: AsyncTask, status: str, **fields: Any) -> None:
        """End a task, be it later; nothing when something else has ended it meanwhile."""

        async def end() -> None:
            current = await self.board.settled(task.id)
            if current is not None and not current.final:
                await self.end(current, status, **fields)

        await self._surely(task, end)

    async def _surely(self, task: AsyncTask, what: Callable[[], Awaitable[object]]) -> None:
        await surely(
            self._clock, what, lambda error: log.warning("task %s waits: %s", task.id, error)
        )

    async def resume(self) -> None:
        """After a start: tell what was not told, arm deadlines, go on with what is open."""
        for task in self.board.all():
            parent = self.board.find(task.parent_task)
            if task.sealed:
                continue  # nobody can read it, until its key is there
            if task.final:
                await self.verdicts.announce(task)
            elif self.board.get(task.id).final:
                continue
            elif parent is not None and parent.final:
                await self._surely_end(task, "cancelled", reason=PARENT_ENDED, stop=True)
            elif task.to_session != OPERATOR and self._directory.get(task.to_session) is None:
                gone = f"session {task.to_session} was removed"
                await self._surely_end(task, "failed", error=gone, reason="session_removed")
            else:
                self._watch(task)
                await self.go_on(task)

    async def go_on(self, task: AsyncTask) -> None:
        """Ask for the work on an open task once more; harmless where it is under way.

        What other tasks continue is not begun anew. A turn that was cut off is the transcript's
        to go on with; its session knows that it has this task already.
        """
        if not self.verdicts.awaited(task):
            await self.publish(task)
        self.verdicts.wake(task)

    def _tell(self, task: AsyncTask) -> None:
        self._emit(TaskUpdated(session=task.to_session, trace=lineage_of(task).trace, task=task))
