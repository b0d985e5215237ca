"""A session is an actor: an inbox, an identity, a conversation, one turn at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from clawd.agent.toolset import Toolset
from clawd.comms.caller import Caller
from clawd.comms.manager import Status
from clawd.config.schema import SessionSettings
from clawd.errors import ClawdError, NotFound, Refused, StorageError
from clawd.events import PromptQueued
from clawd.ids import OPERATOR, now
from clawd.lineage import Lineage
from clawd.sessions.compaction import Compaction
from clawd.sessions.counting import TurnCounts
from clawd.sessions.ending import turn_envelope
from clawd.sessions.identity import Identity
from clawd.sessions.intake import Intake
from clawd.sessions.lines import Accepted, Mode, check_line, turn_of
from clawd.sessions.prompter import Prompter
from clawd.sessions.records import TurnRecord
from clawd.sessions.retrying import Retrying
from clawd.sessions.services import Services
from clawd.sessions.steering import Steering
from clawd.sessions.stopping import Stopping
from clawd.sessions.toolsets import Toolsets
from clawd.sessions.transcript import Transcript
from clawd.sessions.turns import TurnRunner

_SETTLE_SECONDS = 5.0


class Session:
    """Takes requests from its inbox, in their order, and runs one turn for each."""

    def __init__(
        self, settings: SessionSettings, workspace: Path, services: Services, created_by: str = ""
    ) -> None:
        self.settings = settings
        self.workspace, self.created_by = workspace, created_by
        self._counts = TurnCounts(settings.id, services.comms)
        sealer = services.sealer(settings.id)
        self.transcript = Transcript(workspace, services.writer, self._counts, sealer)
        self.running: TurnRecord | None = None
        self.since = ""
        self.failed, self.locked = "", False  # locked: parked because a key is not there
        self._services = services
        self._inbox = services.bus.register(settings.id)
        self.prompter = Prompter(lambda: self.settings, workspace, services)
        self.toolsets = Toolsets(lambda: self.settings, workspace, services)
        self._intake = Intake(settings.id, self._inbox, self.transcript, services)
        self._task: asyncio.Task[StorageError | None] | None = None
        self._ended = asyncio.Event()
        self._ended.set()
        self._steering = Steering()
        self._leaving, self._taking, self._pause = False, 0, 0.0
        self.leaves: Callable[[], ClawdError] | None = None
        """Why it takes no more lines, once it is on its way out."""
        self._going = asyncio.Event()
        self._going.set()
        self._retrying = Retrying(lambda: self.id, self.transcript, services)
        self._stopping = Stopping(lambda: self.id, self.transcript, self._steering, services)
        self._runner = TurnRunner(
            lambda: self.settings,
            workspace,
            self.transcript,
            self.prompter.prompt,
            self.toolsets,
            self._steering,
            services,
        )
        self._compaction = Compaction(self.transcript, self._runner.compact)

    @property
    def id(self) -> str:
        """The session's id."""
        return self.settings.id

    def status(self) -> Status:
        """What the session is doing."""
        if self.failed:
            return "failed"
        if self.paused:
            return "paused"
        return "busy" if self.running else "idle"

    def check_served(self) -> None:
        """Raises the reason when this session is parked, or goes."""
        if self.leaves is not None:
            raise self.leaves()
        if self.failed:
            raise Refused(
                "session_failed",
                f"session {self.id} is parked: {self.failed}",
                hint=f"mend that, then: clawd sessions restart {self.id}",
            )

    @property
    def paused(self) -> bool:
        """Whether it stands still on the operator's word."""
        return not self._going.is_set()

    @property
    def _stands_still(self) -> bool:
        """Whether no turn may begin now."""
        return self.paused or self._leaving

    def halt(self) -> None:
        """Stand still at once; a turn that runs goes on after ``go_on``, as if not started."""
        self._going.clear()
        if self._task is not None and not self._runner.settling:
            self._task.cancel()
        self._compaction.stop()

    async def halted(self) -> None:
        """Wait until no turn runs, or for five seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._ended.wait()

    def go_on(self) -> None:
        """Stand still no more."""
        self._going.set()

    def queue(self) -> int:
        """How many requests wait."""
        return len(self._inbox) + self._taking

    def works_on(self, task_id: str) -> bool:
        """Whether the running turn is for this task."""
        return self.running is not None and task_id in (
            self._runner.task,
            *self.running.trigger.ids,
        )

    def parked_for(self, task_id: str) -> str | None:
        """The turn for this task that waits for a human."""
        parked = [t for t in self.transcript.turns.values() if t.status == "parked"]
        # One that goes on with the results of others was started by their messages.
        asking = {a.turn for a in self._services.desk.waiting(self.id) if a.task == task_id}
        return next((t.id for t in parked if task_id in t.trigger.ids or t.id in asking), None)

    def go_on_with(self, turn_id: str) -> None:
        """Put a turn that waited for a human on its way again; harmless where it is."""
        turn = self.transcript.turns.get(turn_id)
        if turn is not None and turn.status == "parked":
            self._services.bus.publish(turn_envelope(turn, self.id))

    def load(self) -> list[str]:
        """Read the transcript (blocking); what was wrong with it, in words."""
        with self._counts.loading():
            problems = self.transcript.load()
        self.transcript.let_go()
        return problems

    async def run(self) -> None:
        """Serve the inbox until cancelled; goes on with the turns that a crash left open."""
        self.transcript.count_crashes()
        if not self.transcript.conversation:
            await self.transcript.begin()
        for turn in self.transcript.turns.values():
            # What waits for a human goes on with the word, which may have come meanwhile.
            if turn.status != "parked" or not self._services.desk.waits_in(turn.id):
                self._services.bus.publish(turn_envelope(turn, self.id))
        while not self._leaving:
            await self._going.wait()
            envelope = await self._inbox.next()
            self._taking = 1
            try:
                asked = None if self._stands_still else await self._intake.turn_for(envelope)
            finally:
                self._taking = 0
            if self._stands_still:  # perhaps only since that was looked up
                for each in self._retrying.asking_for(asked) if asked else [envelope]:
                    self._inbox.put_back(envelope if each.id == envelope.id else each)
                continue
            if asked is not None and not self._stopping.withdraws(asked.id):
                await self._run(self._retrying.known(asked))
            if self._pause:
                await asyncio.sleep(self._pause)
                self._pause = 0.0

    async def prompt(
        self, text: str, mode: Mode = "queue", *, lineage: Lineage | None = None
    ) -> Accepted:
        """Accept a line of the operator; durable when this returns."""
        self.check_served()
        check_line(text)
        turn = turn_of(text, self.transcript.conversation, lineage)
        try:
            await self.transcript.append(turn)
        except asyncio.CancelledError:
            self._services.bus.publish(turn_envelope(turn, self.id))  # it is stored all the same
            raise
        if mode == "steer" and self.running is not None:
            self._steering.add(turn)
            return Accepted(turn.id, "steered", 0)
        waiting = [e for e in self._inbox.waiting() if e.kind == "turn"]
        ahead = len(waiting) + (self.running is not None and mode != "interrupt")
        self._services.emit(
            PromptQueued(
                session=self.id, trace=turn.lineage.trace, run_id=turn.id, text=text, ahead=ahead
            )
        )
        self._services.bus.publish(turn_envelope(turn, self.id))
        if mode == "interrupt":
            await self.cancel(by=OPERATOR)
        return Accepted(turn.id, "queued" if ahead else "started", ahead)

    async def cancel(self, turn_id: str | None = None, *, by: str) -> TurnRecord | None:
        """Stop the running turn, or withdraw one that waits; ``None`` when there is none."""
        running = self.running
        if running is not None and turn_id in (None, running.id):
            self._stopping.stop(running.id, by)
            self._runner.stop()
            if self._task is not None:
                self._task.cancel()
            return running
        waiting = self._suspended()
        turn_id = turn_id or waiting
        if turn_id is None:
            return None
        turn = self.transcript.turns.get(turn_id)
        if turn is None:
            raise NotFound("unknown_turn", f"session {self.id} has no open turn {turn_id[:80]!a}")
        await self._stopping.withdraw(
            turn,
            lambda: self._runner.cancelled(turn, by, aside=True),
            lambda: self.running is not None,
        )
        return turn

    def _suspended(self) -> str | None:
        """The turn that a pause has stopped."""
        open_turns = self.transcript.turns.values() if self.paused and not self.running else ()
        return next((t.id for t in open_turns if t.status == "waiting" and t.started_at), None)

    async def reset(self) -> str:
        """Begin another conversation; mail and tasks stay as they are."""
        if await self._in_turn():
            raise Refused(
                "busy",
                f"session {self.id} is in a turn",
                hint="stop it first, or wait until it ends",
            )
        for turn in [t for t in self.transcript.turns.values() if t.status == "parked"]:
            await self.cancel(turn.id, by=OPERATOR)
        return await self.transcript.begin()

    def toolset(self, caller: Caller) -> Toolset:
        """The tools of this session, bound to a caller."""
        return self.toolsets.toolset(caller)

    def caller(self, lineage: Lineage) -> Caller:
        """Acting as this session outside a turn, on the operator's word."""
        return Caller(self.id, lineage, workspace=self.workspace)

    def tokens(self) -> int:
        """About how many tokens the identity and the history take now."""
        return self.prompter.tokens() + self.transcript.tokens()

    async def compact(self) -> tuple[int, int]:
        """Summarise older history now; tokens of history before and after."""
        if await self._in_turn():
            raise Refused("busy", f"session {self.id} is in a turn", hint="wait until it ends")
        paused = Refused("paused", f"session {self.id} is paused", hint="clawd resume goes on")
        if self.paused:
            raise paused
        return await self._compaction.run(paused)

    def configure(self, settings: SessionSettings) -> None:
        """Take new settings; a running turn keeps its prompt, model and history."""
        self.settings = settings

    async def _in_turn(self) -> bool:
        """Whether a turn runs; one that has said its last word is waited for."""
        if self.running is not None and self._runner.settling:
            await self.halted()
        return self.running is not None

    async def identity(self) -> Identity:
        """The identity files as they are now."""
        return await self.prompter.identity()

    async def _run(self, turn: TurnRecord) -> None:
        self.running, self.since = turn, now()
        self._ended.clear()
        try:
            if not self._stopping.by(turn.id):  # or it comes back to be stored as stopped
                await self._to_its_end(turn)
            if by := self._stopping.by(turn.id):
                await self._runner.cancelled(turn, by)
                self._stopping.ended(turn.id)
            self._retrying.stored()
        except* StorageError as refused:
            self._pause = self._retrying.refused(turn, refused.exceptions[0])
        finally:
            self.running = self._task = self._runner.task = None
            self._runner.settling = False
            self._ended.set()
            self._runner.announce()
            for line in self._steering.unheard():
                self._services.bus.publish(turn_envelope(line, self.id))

    async def _to_its_end(self, turn: TurnRecord) -> None:
        """Run a turn in a task of its own, which can be cancelled without the session's."""
        try:
            async with asyncio.TaskGroup() as group:
                self._task = work = group.create_task(self._refused(turn))
        except asyncio.CancelledError:
            # What the disk refuses now is as after a crash: the session stops all the same.
            with suppress(StorageError):
                if by := self._stopping.by(turn.id):
                    await self._runner.cancelled(turn, by)
                else:
                    await self._runner.suspended(turn)
            raise
        if work.cancelled():
            if not self._stopping.by(turn.id):
                await self._runner.suspended(turn)
                for envelope in self._retrying.asking_for(turn):
                    self._services.bus.publish(envelope)
        elif (refused := work.result()) is not None:
            raise refused

    async def _refused(self, turn: TurnRecord) -> StorageError | None:
        """Run a turn; what the disk refused of it.

        Raised in a group, that would take the place of the session's own cancellation.
        """
        try:
            await self._runner.run(turn)
        except StorageError as refused:
            return refused
        return None

    async def drained(self, seconds: float) -> bool:
        """Wait until the running turn has ended; False when that takes too long.

        No other begins after it.
        """
        self._leaving = True
        if self._task is None:
            return True
        _, late = await asyncio.wait([self._task], timeout=seconds)
        return not late
