"""Running one turn of a session: from its trigger to its end, and telling who must know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from clawd.agent.history import INTERRUPTED, unanswered
from clawd.agent.loop import Failed, Finished, Parked, run_turn
from clawd.agent.trust import Trust
from clawd.agent.turn import Turn
from clawd.agent.workbench import Workbench
from clawd.comms.caller import Caller
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.config.schema import SessionSettings
from clawd.errors import ClawdError, GuardRefused, Refused, StorageError
from clawd.events import Notice, RunStarted
from clawd.ids import OPERATOR, now
from clawd.lineage import begin
from clawd.messages import ChatMessage, Usage, tool_result, user
from clawd.sessions.binding import Binding
from clawd.sessions.conversation import TurnConversation
from clawd.sessions.ending import MAX_STARTS, TurnEnding
from clawd.sessions.records import MessageRecord, Trigger, TurnRecord
from clawd.sessions.results import shown_part
from clawd.sessions.services import Chosen, Services
from clawd.sessions.steering import Steering
from clawd.sessions.toolsets import Toolsets
from clawd.sessions.transcript import Transcript
from clawd.sessions.triggers import messages_text, task_text


class TurnRunner:
    """Runs the turns of one session, one at a time."""

    def __init__(
        self,
        settings: Callable[[], SessionSettings],
        workspace: Path,
        transcript: Transcript,
        prompt: Callable[[Workbench, str], Awaitable[str]],
        toolsets: Toolsets,
        steering: Steering,
        services: Services,
    ) -> None:
        self._settings = settings
        self._workspace = workspace
        self._transcript = transcript
        self._prompt = prompt
        self._toolsets = toolsets
        self._steering = steering
        self._services = services
        self._ending = TurnEnding(settings, transcript, services)
        self._binding = Binding(settings, workspace, transcript, self._ending, services)
        self.task: str | None = None
        """The task that the running turn works on."""
        self.settling = False
        """Whether the running turn has said its last word."""
        self._answers: list[SessionMessage] = []
        self._run: Turn | None = None
        self._stopped = False
        self._counted: set[str] = set()
        """The turns whose start their tasks have counted, and which could not be stored yet."""

    async def run(self, turn: TurnRecord) -> None:
        """Run an open turn of the transcript, and settle what comes of it."""
        self._answers = []
        async with self._services.gate.slot() as slot:
            self.settling, self._run, self._stopped = False, None, False
            await self._transcript.recall()
            started = await self._started(turn)
            if started is None:
                return
            caller, run = self._binding.bind(started, slot, lambda: not self._stopped)
            self.task, self._answers, self._run = caller.task, caller.answers, run
            await self._services.comms.tasks.goes_on(caller.task)
            try:
                outcome = await self._outcome(started, caller, run)
            except (asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001 - settled like any failure, and shown
                outcome = Failed(ClawdError("internal_error", f"{type(error).__name__}: {error}"))
            self.settling = True
            await self._ending.settle(started, caller, run, outcome)

    def stop(self) -> None:
        """The turn is about to be cancelled for good: it will not go on later."""
        self._stopped = True

    async def cancelled(self, turn: TurnRecord, by: str, *, aside: bool = False) -> None:
        """The turn was stopped for good; ``aside``: while it was not the one that runs."""
        run = self._run if self._run is not None and self._run.id == turn.id else None
        answers = [] if aside else self._answers
        try:
            await self._ending.cancelled(turn, answers, by, run, aside=aside)
        except asyncio.CancelledError:
            # Nobody says it again: what is left of it is done before the session stops.
            with suppress(StorageError):
                if turn.id in self._transcript.turns:
                    await self._ending.cancelled(turn, answers, by, run, aside=aside)
            raise

    async def suspended(self, turn: TurnRecord) -> None:
        """The session stops in good order: the turn goes on later, as if not started."""
        run = self._run if self._run is not None and self._run.id == turn.id else None
        await self._ending.suspended(turn, run)

    def announce(self) -> None:
        """Tell of the end of the turn that was run last: it is final, and the session is free.

        An answer that it got and did not come to read asks for its turn, as after a restart.
        """
        answers, self._answers = self._answers, []
        for answer in self._services.comms.post.current(answers):
            self._services.comms.post.wake(answer)
        self._ending.announce()

    async def _started(self, turn: TurnRecord) -> TurnRecord | None:
        """The turn as running; ``None`` when it may not start, or never can."""
        try:
            return await self._start(turn)
        except StorageError as error:
            if error.code != "line_too_large":
                raise
            await self._ending.fail(turn, self._binding.caller(turn), error)
            return None

    async def _start(self, turn: TurnRecord) -> TurnRecord | None:
        """Make the turn durable as running, with its user message when it is new."""
        if (refused := self._refused(turn)) is not None:
            await self._ending.fail(turn, self._binding.caller(turn), refused)
            return None
        text = await self._trigger_text(turn)
        if text is None:
            await self._transcript.change(turn, status="cancelled", ended_at=now())
            return None
        known = bool(self._transcript.of_turn(turn.id))
        turn_now = TurnRecord(
            id=turn.id,
            conversation=turn.conversation if known else self._transcript.conversation,
            time=now(),
            trigger=turn.trigger,
            status="running",
            lineage=turn.lineage,
            attempt=turn.attempt + 1,
            crashes=turn.crashes,
            stood_still=turn.stood_still,
            started_at=turn.started_at or now(),
            usage=await self._used(turn),
        )
        said = [user(text)] if not known else self._cut_off(turn.id)
        lines = [self._transcript.message(turn_now, message) for message in said]
        try:
            await self._transcript.append(turn_now, *lines)
        except StorageError:
            self._counted.add(turn.id)
            raise
        self._counted.discard(turn.id)
        await self._services.comms.post.delivered(self._ending.messages(turn_now))
        settings = self._settings()
        self._services.emit(
            RunStarted(
                session=settings.id,
                trace=turn.lineage.trace,
                run_id=turn.id,
                agent_name=settings.name,
                trigger=turn.trigger.kind,
                input_message=self._ending.spoken(turn),
                source=turn.trigger.source,
                trigger_ids=turn.trigger.ids,
                attempt=turn_now.attempt,
                resumed=known,
            )
        )
        return turn_now

    async def _used(self, turn: TurnRecord) -> Usage | None:
        """What the turn has used so far; its record knows nothing of calls before a crash."""
        if not turn.crashes:
            return turn.usage
        used = await self._services.models.used(turn.id)
        # The lines of earlier days may be summed up by now, and name no turn.
        return max(used, turn.usage or Usage(), key=lambda usage: usage.input_tokens)

    def _refused(self, turn: TurnRecord) -> Refused | None:
        """Why this turn may not start: it was started too often, or a bound forbids it."""
        if turn.crashes >= MAX_STARTS:
            text = f"daemon or session died {turn.crashes} times while this turn ran"
            return Refused("attempts", text)
        if turn.attempt:
            return None
        try:
            self._services.comms.guards.turn(
                turn.id, turn.lineage, self._settings().id, own=turn.own
            )
        except GuardRefused as refused:
            return refused
        return None

    def _cut_off(self, turn: str) -> list[ChatMessage]:
        """A result for each call that the daemon did not survive: it is never made again."""
        undone = self._services.desk.undone(turn)
        open_calls = unanswered(self._transcript.of_turn(turn))
        return [tool_result(call, INTERRUPTED) for call in open_calls if call.id not in undone]

    async def _trigger_text(self, turn: TurnRecord) -> str | None:
        if turn.trigger.kind == "message":
            own, directory = self._settings().id, self._services.comms.directory
            return messages_text(
                self._ending.messages(turn), lambda sender: directory.writable(own, sender)
            )
        if turn.trigger.kind == "task":
            task_id, board = turn.trigger.ids[0], self._services.comms.board
            task: AsyncTask | None = board.find(task_id) if turn.id in self._counted else None
            if task is None or task.final:
                task = await self._services.comms.tasks.start(task_id)
            return task_text(task, map(board.get, task.depends_on)) if task else None
        return turn.trigger.text

    async def _outcome(
        self, turn: TurnRecord, caller: Caller, run: Turn
    ) -> Finished | Failed | Parked:
        said = self._transcript.of_turn(turn.id)
        if said and said[-1].role == "assistant" and not said[-1].tool_calls:
            # The daemon died between the last word and settling it: nothing is asked again.
            return Finished(said[-1].content or "")
        settings = self._settings()
        try:
            account = self._binding.account(turn, caller, run)
            chosen = await self._services.models.choose(settings, account)
        except ClawdError as error:
            return Failed(error)
        bench = self._toolsets.bench(caller)
        await self._toolsets.prepare(bench)
        prompt = await self._prompt(bench, self._ending.spoken(turn))
        last = partial(self._ending.said, turn, caller, run)
        conversation = self._conversation(turn, prompt, chosen, last, run)
        return await run_turn(run, chosen.model, conversation, self._toolsets.toolset(caller))

    def _conversation(
        self,
        turn: TurnRecord,
        prompt: str,
        chosen: Chosen,
        last: Callable[[MessageRecord], Awaitable[object]],
        run: Turn | None = None,
    ) -> TurnConversation:
        settings = self._settings()
        context = settings.context
        trust = run.trust if run else Trust()
        return TurnConversation(
            self._transcript,
            turn,
            prompt,
            chosen.model,
            chosen.name,
            window=context.max_tokens or chosen.window,
            threshold=context.compression_threshold,
            keep_recent=context.keep_recent_messages,
            temperature=settings.provider.temperature,
            max_output_tokens=settings.provider.max_output_tokens,
            steering=self._steering,
            notice=lambda code, text: self._services.emit(
                Notice(session=settings.id, trace=turn.lineage.trace, code=code, text=text)
            ),
            spent=partial(self._binding.spent, turn, run, chosen.name),
            last=last,
            trust=trust,
            fit=partial(shown_part, self._workspace, trust=trust, private=settings.a2a.encrypt),
            remember=self._toolsets.remembering(self._binding.caller(turn, run)),
        )

    async def compact(self) -> None:
        """Summarise older history outside a turn."""
        await self._transcript.recall()
        turn = TurnRecord(
            id="", conversation=self._transcript.conversation, time=now(),
            trigger=Trigger("user", OPERATOR), status="running", lineage=begin(),
        )  # fmt: skip
        chosen = await self._services.models.choose(self._settings(), self._binding.account(turn))
        await self._conversation(turn, "", chosen, self._transcript.append).shrink()
