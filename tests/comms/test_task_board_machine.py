"""The task board against a simple model: whatever is done in whatever order, and over kills."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from clawd.bus.memory import MemoryBus
from clawd.comms.caller import Caller
from clawd.comms.directory import Entry
from clawd.comms.manager import Host, SessionCommsManager
from clawd.comms.models import AsyncTask
from clawd.config.schema import Limits
from clawd.errors import ClawdError, ProviderBusy, Refused
from clawd.events import Event
from clawd.lineage import begin
from clawd.storage.writer import Writer

SESSIONS = ("a", "b", "c")
sessions = st.sampled_from(SESSIONS)
Result = TypeVar("Result")


class Never:
    """A clock whose time does not come."""

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> None:
        """Nothing."""


class Stopped:
    """The sessions, as far as tasks need them: what was to be stopped."""

    def __init__(self) -> None:
        self.tasks: list[str] = []

    async def stop_work(self, task: AsyncTask) -> None:
        """Note it."""
        self.tasks.append(task.id)


def _ignore(_: Event) -> None:
    return None


class TaskBoard(RuleBasedStateMachine):
    """Delegates, starts, ends and kills; the model is the state that each task must be in."""

    tasks = Bundle("tasks")

    @initialize(target=tasks)
    def begin(self) -> Any:
        """A home with a few tasks, of which some wait for others."""
        self.loop = asyncio.new_event_loop()
        self.home = Path(tempfile.mkdtemp())
        self.states: dict[str, str] = {}
        self.verdicts: dict[str, str | None] = {}
        self.open_house()
        made: list[str] = []
        for creator, worker, needs in (("a", "b", 0), ("a", "c", 1), ("b", "c", 0), ("a", "b", 2)):
            task = self.run(
                self.comms.tasks.delegate(
                    Caller(creator, begin()), worker, "work", depends_on=tuple(made[:needs])
                )
            )
            self.states[task.id] = "pending"
            made.append(task.id)
        return multiple(*made)

    def open_house(self) -> None:
        """Load what is on disk, as a start does."""
        self.writer = Writer()
        self.bus = MemoryBus()

        async def load() -> None:
            self.writer.start()
            limits = Limits(max_task_depth=50)
            self.comms = SessionCommsManager(
                self.home, self.bus, self.writer, Never(), _ignore, lambda _: limits, lambda: 24.0
            )
            self.comms.attach(cast(Host, Stopped()))
            for name in SESSIONS:
                self.comms.directory.put(Entry(name, name))
                self.bus.register(name)
                self.comms.post.open(name, self.home / f"{name}.jsonl")
            assert self.comms.load() == []
            await self.comms.resume()

        self.run(load())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something on the loop."""
        return self.loop.run_until_complete(work)

    def find(self, task_id: str) -> AsyncTask:
        """A task as the board has it."""
        return self.comms.board.get(task_id)

    def note(self) -> None:
        """Take over into the model what follows from a change: children and dependants."""
        changed = True
        while changed:
            changed = False
            for task in self.comms.board.all():
                parent = self.states.get(task.parent_task or "")
                if self.states[task.id] not in ("pending", "processing"):
                    continue
                needed = [self.states[i] for i in task.depends_on]
                if parent in ("completed", "failed", "cancelled"):
                    self.states[task.id] = "cancelled"
                    changed = True
                elif self.states[task.id] == "pending" and {"failed", "cancelled"} & {*needed}:
                    self.states[task.id] = "failed"
                    changed = True

    @rule(target=tasks, creator=sessions, worker=sessions, needs=st.lists(tasks, max_size=2))
    def delegate(self, creator: str, worker: str, needs: list[str]) -> Any:
        """Somebody gives a task; what it depends on must be the creator's to see."""
        wanted = self.comms.tasks.delegate(
            Caller(creator, begin()), worker, "work", depends_on=tuple(needs)
        )
        seen = all(creator in (self.find(i).from_session, self.find(i).to_session) for i in needs)
        if creator == worker or not seen:
            with pytest.raises(ClawdError):
                self.run(wanted)
            return multiple()
        task = self.run(wanted)
        self.states[task.id] = "pending"
        self.note()
        return task.id

    @rule(target=tasks, parent=tasks, worker=sessions)
    def delegate_for(self, parent: str, worker: str) -> Any:
        """The worker of an open task gives part of it to another."""
        lead = self.find(parent).to_session
        if self.states[parent] != "processing" or lead == worker:
            return multiple()
        task = self.run(
            self.comms.tasks.delegate(Caller(lead, begin(), task=parent), worker, "part")
        )
        self.states[task.id] = "pending"
        return task.id

    @rule(task=tasks)
    def start(self, task: str) -> None:
        """The worker takes it from its inbox, if it is there."""
        worker = self.find(task).to_session
        if not self.bus.withdraw(worker, task):
            return
        used = self.find(task).attempt
        started = self.run(self.comms.tasks.start(task))
        if used == 3:
            assert started is None
            assert self.find(task).reason == "attempts"
            self.states[task] = "failed"
            self.note()
            return
        assert started is not None
        assert all(self.states[i] == "completed" for i in started.depends_on)
        self.states[task] = "processing"

    @rule(task=tasks, who=sessions, good=st.booleans())
    def complete(self, task: str, who: str, good: bool) -> None:
        """Somebody says that it is done; only the assignee may, and only once."""
        wanted = "completed" if good else "failed"
        ending = self.comms.tasks.complete(
            Caller(who, begin()), task, result="r" if good else None, error=None if good else "e"
        )
        known = self.states[task]
        if who != self.find(task).to_session:
            with pytest.raises(ClawdError, match="no task"):
                self.run(ending)
        elif known in ("pending", "processing"):
            self.run(ending)
            self.states[task] = wanted
            self.note()
        else:
            with suppress(Refused):
                assert self.run(ending).status == known

    @rule(task=tasks, who=sessions)
    def cancel(self, task: str, who: str) -> None:
        """Creator and worker may call it off; for others it is not there."""
        record = self.find(task)
        ending = self.comms.tasks.cancel(who, task, None)
        if who not in (record.from_session, record.to_session):
            with pytest.raises(ClawdError, match="no task"):
                self.run(ending)
        elif self.states[task] in ("pending", "processing"):
            self.run(ending)
            self.states[task] = "cancelled"
            self.note()
        else:
            with suppress(Refused):
                self.run(ending)

    @rule(task=tasks, text=st.sampled_from(["", "said"]))
    def turn_ends(self, task: str, text: str) -> None:
        """A turn for it ends without a verdict; waiting children keep it open."""
        if self.states[task] != "processing":
            return
        awaited = self.comms.tasks.verdicts.awaited(self.find(task))
        caller = Caller(self.find(task).to_session, begin())
        self.run(self.comms.tasks.turn_finished(caller, task, text))
        if not awaited:
            self.states[task] = "completed" if text else "failed"
            self.note()

    @rule(task=tasks)
    def turn_fails(self, task: str) -> None:
        """A turn for it fails in passing: it is tried again while there are attempts."""
        if self.states[task] != "processing":
            return
        error = ProviderBusy("busy", "busy", retryable=True)
        again = self.run(self.comms.tasks.turn_failed(task, error, again=True))
        assert again is (self.find(task).attempt < 3)
        if not again:
            self.states[task] = "failed"
            self.note()

    @rule(reader=sessions)
    def read(self, reader: str) -> None:
        """A session reads all its mail."""
        self.run(self.comms.post.read(list(self.comms.post.box(reader).all())))

    @rule()
    def kill(self) -> None:
        """The daemon dies and starts again."""
        self.run(self.writer.close())
        self.open_house()

    @invariant()
    def as_the_model_says(self) -> None:
        """States, verdicts and what is on disk agree; what is final stays as it was."""
        if not hasattr(self, "states"):
            return
        tasks = self.comms.board.all()
        assert {t.id: t.status for t in tasks} == self.states
        for task in tasks:
            told = [
                m for m in self.comms.post.box(task.from_session).all() if m.thread_id == task.id
            ]
            assert len(told) == task.final, "the creator of a final task is told, once"
            if task.final:
                said = self.verdicts.setdefault(task.id, task.result or task.error)
                assert said == (task.result or task.error)
            ready = all(self.states[i] == "completed" for i in task.depends_on)
            waits = task.id in [e.id for e in self.bus.register(task.to_session).waiting()]
            if task.status == "pending":
                assert waits is ready
            elif task.final:
                assert not waits

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "writer"):
            self.run(self.writer.close())
            self.loop.close()
            shutil.rmtree(self.home)


TestTaskBoard = TaskBoard.TestCase
TestTaskBoard.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
