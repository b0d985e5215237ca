"""Commands that run on beside the turns: so many a session, each for so long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

from clawd.errors import ClawdError, NotFound, Refused
from clawd.tools.exec.running import Running

log = logging.getLogger("clawd.exec")

MOST_RUNNING = 8
"""A session's commands in the background at one time."""
MOST_ENDED = 16
KEPT_SECONDS = 3600.0
"""How long an ended one can still be read through its id."""
CLOSE_SECONDS = 5.0

Spawn = Callable[[str, Coroutine[Any, Any, object]], object]


@dataclass(slots=True)
class Job:
    """A command in the background, whose it is, and how far its output was read."""

    session: str
    command: str
    running: Running
    sources: tuple[str, ...] = ()
    """What from outside the turn had read that started it."""
    read: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0
    problem: ClawdError | None = None

    @property
    def id(self) -> str:
        """The command's id."""
        return self.running.launch.id


class Background:
    """All of them; each runs in a task of the supervisor's."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._jobs: dict[str, Job] = {}

    def check_room(self, session: str) -> None:
        """``Refused`` when a session has as many as it may."""
        running = [job for job in self.of(session) if not job.over.is_set()]
        if len(running) >= MOST_RUNNING:
            raise Refused(
                "too_many_commands",
                f"{len(running)} commands run in the background already",
                hint=f"end one with exec_stop: {', '.join(job.id for job in running)}",
                limit=MOST_RUNNING,
            )

    def start(self, job: Job, after: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Let it run; ``after`` is awaited when it has ended."""
        self._jobs[job.id] = job
        self._forget(job.session)
        self._spawn(f"exec {job.id}", self._run(job, after))

    async def _run(self, job: Job, after: Callable[[], Coroutine[Any, Any, object]]) -> None:
        try:
            await job.running.run()
            await after()
        except ClawdError as problem:
            job.problem = problem
            log.warning("%s: %s", job.id, problem)
        finally:
            job.ended_at = time.monotonic()
            job.over.set()
            job.running.up.set()

    def of(self, session: str) -> list[Job]:
        """A session's commands, the oldest first; those that ended not long ago too."""
        return [job for job in self._jobs.values() if job.session == session]

    def get(self, session: str, id: str) -> Job:
        """One of a session's commands; ``NotFound`` for another's as for none."""
        job = self._jobs.get(id)
        if job is None or job.session != session:
            known = ", ".join(each.id for each in self.of(session)) or "none"
            raise NotFound(
                "no_such_command",
                f"there is no command {id[:80]!r} in the background",
                hint=f"commands: {known}; they end with the daemon, and what they wrote is in"
                " results/",
            )
        return job

    async def settle(self, sessions: Collection[str]) -> None:
        """End what belongs to none of these sessions, and forget it."""
        gone = [job for job in self._jobs.values() if job.session not in sessions]
        await _end(gone, "ended: its session is gone, or may run commands no more")
        for job in gone:
            self._drop(job)

    async def close(self) -> None:
        """End all of them."""
        await _end(list(self._jobs.values()), "ended: the daemon stopped")
        for job in list(self._jobs.values()):
            self._drop(job)

    def _forget(self, session: str) -> None:
        ended = [job for job in self.of(session) if job.over.is_set()]
        long_ago = time.monotonic() - KEPT_SECONDS
        for job in ended:
            if job.ended_at < long_ago or job in ended[:-MOST_ENDED]:
                self._drop(job)

    def _drop(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        job.running.output.close()


async def _end(jobs: list[Job], why: str) -> None:
    for job in jobs:
        job.running.stop(why)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            for job in jobs:
                await job.over.wait()
    except TimeoutError:
        log.error("commands did not end in time: %s", ", ".join(job.id for job in jobs))
