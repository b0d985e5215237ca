"""The task board: a fold over ``state/tasks.jsonl``. A final task never changes again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from clawd.comms.ages import Ages
from clawd.comms.models import AsyncTask, TaskStatus, blank
from clawd.errors import NotFound, Refused
from clawd.ids import follow, now
from clawd.messages import Usage
from clawd.storage.jsonl import Log
from clawd.storage.sealing import Sealing
from clawd.storage.writer import Writer


class TaskBoard:
    """Every task that is open, or ended less than the retention ago."""

    def __init__(
        self,
        path: Path,
        writer: Writer,
        sealing: Sealing | None = None,
        spent: Callable[[str], Usage | None] = lambda _: None,
    ) -> None:
        sealer = sealing.sealer(blank, _parties, lenient=True) if sealing else None
        self._log = Log[AsyncTask](path, AsyncTask, writer, sealer=sealer)
        self._tasks: dict[str, AsyncTask] = {}
        self._open: dict[str, AsyncTask] = {}
        self._parts: dict[str, dict[str, None]] = {}
        self._spent = spent
        self._coming: dict[str, AsyncTask] = {}
        self._ending: set[str] = set()
        self._changed = asyncio.Event()
        self._ages = Ages()

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words."""
        loaded = self._log.load()
        for task in loaded.records.values():
            self._put(task)
        follow(self._tasks)
        return [str(problem) for problem in loaded.problems]

    def all(self) -> list[AsyncTask]:
        """Every task, oldest first."""
        return list(self._tasks.values())

    def get(self, task_id: str) -> AsyncTask:
        """A task by id; ``NotFound``."""
        task = self._tasks.get(task_id)
        if task is None:
            raise unknown_task(task_id)
        return task

    def find(self, task_id: str | None) -> AsyncTask | None:
        """A task by id, if it is there."""
        return self._tasks.get(task_id or "")

    def open_for(
        self, *, creator: str | None = None, worker: str | None = None, parent: str | None = None
    ) -> list[AsyncTask]:
        """The tasks that have not ended, by who made them, who works on them, or for which task."""
        # By these alone: a day's ended tasks must not make each further one slower.
        asked = self._open.values() if parent is None else self.children(parent)
        return [
            task
            for task in asked
            if not task.final
            and creator in (None, task.from_session)
            and worker in (None, task.to_session)
        ]

    def expected(self, *, creator: str | None = None, worker: str | None = None) -> int:
        """How many are open or being written to disk right now, by who made them or works."""
        coming = sum(
            creator in (None, task.from_session) and worker in (None, task.to_session)
            for task in self._coming.values()
        )
        return coming + len(self.open_for(creator=creator, worker=worker))

    def with_key(self, creator: str, key: str) -> AsyncTask | None:
        """The task that this creator gave under this key, as long as it is listed."""
        return next(
            (
                task
                for task in self._tasks.values()
                if task.idempotency_key == key and task.from_session == creator
            ),
            None,
        )

    def children(self, parent: str) -> list[AsyncTask]:
        """The tasks that were made for this one."""
        return [self._tasks[task_id] for task_id in self._parts.get(parent, ())]

    async def add(self, task: AsyncTask) -> None:
        """Store a new task; durable when this returns."""
        self._coming[task.id] = task
        try:
            (task,) = await self._log.append(task)
        except asyncio.CancelledError:
            # The line is on its way to the disk all the same: memory must not know less.
            self._put(task)
            raise
        finally:
            del self._coming[task.id]
        self._put(task)

    async def change(self, task: AsyncTask, **fields: Any) -> AsyncTask:
        """Change an open task; the first to end it wins, ``Refused`` for any later one."""
        current = self.get(task.id)
        if current.final:
            raise already_final(current)
        after = msgspec.structs.replace(current, **fields)
        # Taken at once, so that a second verdict that comes while this is written is refused.
        self._put(after)
        if after.final:
            self._ending.add(task.id)
        try:
            (stored,) = await self._log.append(after)
            self._instead(after, stored)
        except asyncio.CancelledError:
            raise  # the line is on its way to the disk all the same: memory must not know less
        except BaseException:
            self._instead(after, current)
            raise
        finally:
            if after.final:
                self._ending.discard(task.id)
            self._changed.set()
            self._changed = asyncio.Event()
        return stored

    async def finish(self, task: AsyncTask, status: TaskStatus, **fields: Any) -> AsyncTask:
        """End a task."""
        self._ages.stamped(task.id)
        cost = self.costs([task])[task.id]
        return await self.change(task, status=status, completed_at=now(), cost=cost, **fields)

    def costs(self, tasks: Iterable[AsyncTask]) -> dict[str, Usage | None]:
        """What these tasks, with those that were made for them, have used so far."""

        def cost(task: AsyncTask) -> Usage | None:
            own = self._spent(task.id)
            if own is None and task.final:
                return task.cost
            found = [own, *map(cost, self.children(task.id))]
            parts = [part for part in found if part is not None]
            return sum(parts[1:], parts[0]) if parts else None

        return {task.id: cost(task) for task in tasks}

    async def settled(self, task_id: str | None) -> AsyncTask | None:
        """A task by id, if it is there, once the disk has taken or refused a verdict on it."""
        while task_id in self._ending:
            await self._changed.wait()
        return self.find(task_id)

    async def wait(self, task_id: str, seconds: float) -> AsyncTask:
        """The task when it is final, or as it is when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while not self.get(task_id).final or task_id in self._ending:
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self.get(task_id)

    def listed(self, hours: float) -> list[AsyncTask]:
        """The tasks that a listing shows: all but those that ended longer ago than this."""
        return [t for t in self._tasks.values() if not (t.final and self._ended_before(t, hours))]

    def _put(self, task: AsyncTask) -> None:
        self._tasks[task.id] = task
        if task.final:
            self._open.pop(task.id, None)
        else:
            self._open[task.id] = task
        if task.parent_task is not None:
            self._parts.setdefault(task.parent_task, {})[task.id] = None

    def _instead(self, taken: AsyncTask, settled: AsyncTask) -> None:
        """Put what became of a change in its place, unless a later one has that by now."""
        if self._tasks.get(taken.id) is taken:
            self._put(settled)

    def _drop(self, task_id: str) -> None:
        task = self._tasks.pop(task_id, None)
        self._ages.forget(task_id)
        if task is not None and task.parent_task is not None:
            parts = self._parts[task.parent_task]
            parts.pop(task_id, None)
            if not parts:
                del self._parts[task.parent_task]

    def _ended_before(self, task: AsyncTask, hours: float) -> bool:
        return self._ages.of(task.id, task.completed_at or task.created_at) > hours * 3600

    async def forget_older(self, hours: float) -> int:
        """Drop the tasks that ended longer ago than this, from memory and file; how many."""
        open_tasks = self._open
        # An open task still asks for the results that it depends on, and for its children's.
        needed = {name for t in open_tasks.values() for name in t.depends_on}
        old = {
            t.id
            for t in self._tasks.values()
            if t.final
            and t.id not in needed
            and t.parent_task not in open_tasks
            and self._ended_before(t, hours)
        }
        if old or self._log.wasteful(len(self._tasks)):
            await self._log.compact(lambda task_id: task_id not in old)
            for task_id in old:
                self._drop(task_id)
        return len(old)


def _parties(task: AsyncTask) -> tuple[str, str]:
    return task.from_session, task.to_session


def unknown_task(task_id: str) -> NotFound:
    """The one answer for a task that is not there, and for one that is not the asker's."""
    return NotFound(
        "unknown_task",
        f"there is no task {task_id[:80]!a}",
        hint="check_async_tasks lists yours",
    )


def already_final(task: AsyncTask) -> Refused:
    """The error for a second, different verdict."""
    return Refused(
        "already_final",
        f"task {task.id} is already {task.status} since {task.completed_at}",
        status=task.status,
    )
