"""How turns end: settled, tried once more, given up, stopped; and who is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from clawd.agent.dispatch import CANCELLED
from clawd.agent.loop import Failed, Finished, Parked
from clawd.agent.turn import Turn
from clawd.bus.port import Envelope
from clawd.comms.caller import Caller
from clawd.comms.models import SessionMessage
from clawd.comms.settling import MAX_DELIVERIES
from clawd.config.schema import SessionSettings
from clawd.errors import ClawdError, GuardRefused, StorageError
from clawd.events import RunFailed, RunFinished, RunSuspended
from clawd.ids import OPERATOR, now
from clawd.messages import JSON, Usage
from clawd.sessions.records import MessageRecord, TurnRecord
from clawd.sessions.services import Services
from clawd.sessions.transcript import Transcript

MAX_STARTS = 3
"""How often a turn is started that the daemon does not survive."""


class TurnEnding:
    """Brings the turns of one session to their ends, and knows what each of them is about.

    How the running turn ended is kept until ``announce``: who hears of an end may ask at once,
    and finds it in the transcript.
    """

    def __init__(
        self, settings: Callable[[], SessionSettings], transcript: Transcript, services: Services
    ) -> None:
        self._settings = settings
        self._transcript = transcript
        self._services = services
        self._end: RunFinished | RunFailed | RunSuspended | None = None

    def announce(self) -> None:
        """Put the end of the turn on the stream, if it ended."""
        end, self._end = self._end, None
        if end is not None:
            self._services.emit(end)

    def messages(self, turn: TurnRecord) -> list[SessionMessage]:
        """The messages that started the turn."""
        if turn.trigger.kind != "message":
            return []
        box = self._services.comms.post.box(self._settings().id)
        return [message for i in turn.trigger.ids if (message := box.get(i)) is not None]

    def spoken(self, turn: TurnRecord) -> str:
        """What started the turn, in the words of whoever did: for people to see."""
        if turn.trigger.kind == "message":
            return "\n".join(message.content for message in self.messages(turn))
        if turn.trigger.kind == "task":
            return self._services.comms.board.get(turn.trigger.ids[0]).task
        return turn.trigger.text

    def task(self, turn: TurnRecord) -> str | None:
        """The task that the turn works on: its own, or the one that a child's result continues."""
        if turn.trigger.kind == "task":
            return turn.trigger.ids[0]
        verdicts = self._services.comms.tasks.verdicts
        found = (verdicts.continued(message) for message in self.messages(turn))
        return next((task.id for task in found if task is not None), None)

    async def cancelled(
        self,
        turn: TurnRecord,
        answers: list[SessionMessage],
        by: str,
        run: Turn | None = None,
        *,
        aside: bool = False,
    ) -> None:
        """The turn was stopped for good: its messages are read, its task is cancelled.

        ``aside``: it is not the one that runs, whose end is another's to announce.
        """
        await self._services.desk.withdraw(turn=turn.id)
        if isinstance(self._end, RunFinished) and self._end.run_id == turn.id:
            return  # it was over before it heard of the stop
        turn = self._transcript.turns.get(turn.id, turn)
        task_id = self.task(turn)
        error = {"error": "cancelled", "message": f"cancelled by {by}"}
        usage = run.usage if run else turn.usage
        begun = turn.status == "running" or turn.started_at
        # Open until all that hangs on it is settled: what the disk refuses is tried again.
        settling = self._services.comms.settling
        await settling.turn_cancelled(self.messages(turn), answers, by)
        task = self._services.comms.board.find(task_id)
        if task is not None and not task.final:
            await self._services.comms.tasks.end(
                task, "cancelled", reason=f"its turn was stopped by {by}"
            )

        def tell() -> None:
            if begun and not aside:
                self._failed(turn, CANCELLED, usage)
            elif begun or turn.trigger.kind == "schedule":
                # Not for ``announce``, which is about the turn that runs.
                self._services.emit(self._failure(turn, CANCELLED, usage))

        await self._store(turn, tell, status="cancelled", ended_at=now(), error=error, usage=usage)
        tell()

    async def left(self, turn: TurnRecord, code: str, text: str) -> None:
        """The session goes: nothing comes of a turn that waits or stands still."""
        await self._services.desk.withdraw(turn=turn.id)
        error = {"error": code, "message": text}
        await self._transcript.change(turn, status="failed", ended_at=now(), error=error)
        self._services.emit(self._failure(turn, error, turn.usage))

    async def suspended(self, turn: TurnRecord, run: Turn | None = None) -> None:
        """The session stops in good order: the turn goes on later, as if not started."""
        known = self._transcript.turns.get(turn.id)
        if known is not None and known.status == "running":
            turn = known
            usage = run.usage if run else turn.usage
            self._end = RunSuspended(
                session=self._settings().id,
                trace=turn.lineage.trace,
                run_id=turn.id,
                usage=usage or Usage(),
            )
            await self._transcript.change(
                turn, status="waiting", attempt=turn.attempt - 1, usage=usage
            )
            if turn.trigger.kind == "task":
                await self._services.comms.tasks.suspended(turn.trigger.ids[0])

    async def parked(
        self, turn: TurnRecord, caller: Caller, run: Turn, calls: tuple[str, ...]
    ) -> None:
        """The turn stands still until a human has said something; the session goes on without.

        ``calls`` are those that wait, by their ids.
        """
        self._end = RunSuspended(
            session=self._settings().id,
            trace=turn.lineage.trace,
            run_id=turn.id,
            usage=run.usage,
            reason="approval",
        )
        turn = await self._transcript.change(
            turn, status="parked", attempt=turn.attempt - 1, usage=run.usage, stood_still=True
        )
        if not self._services.desk.waits_for_all(turn.id, calls):
            # The word came while other calls of the same reply still ran.
            self._services.bus.publish(turn_envelope(turn, self._settings().id))
        # What waits in it were answered is in the transcript by now.
        await self._services.comms.post.read(caller.answers)
        if caller.task is not None:
            started = turn.trigger.kind == "task"
            await self._services.comms.tasks.input_required(caller.task, started=started)
            await self._ask_creator(caller, caller.task)

    async def _ask_creator(self, caller: Caller, task_id: str) -> None:
        """Whoever gave the task may know the answer, too: a message in its thread is one."""
        comms, question = self._services.comms, self._services.desk.question_of(task_id)
        task = comms.board.find(task_id)
        if question is None or task is None or task.from_session == OPERATOR:
            return
        message_id = "msg-" + question.id.removeprefix("appr-")
        if comms.post.find(message_id) is not None:
            return
        how = f"Answer it with send_message_to_session in thread {task_id}, if you know."
        text = f"{question.text}\n\n{how}"
        with suppress(ClawdError):  # a bound, or a disk: the human is asked all the same
            await comms.post.send(
                caller, task.from_session, text, thread=task_id, message_id=message_id
            )

    async def said(self, turn: TurnRecord, caller: Caller, run: Turn, line: MessageRecord) -> None:
        """The last word is durable when this returns.

        Where nobody but the stream is to be told how the turn ended, it ends in the same append.
        """
        if caller.triggered_by or caller.answers or caller.task is not None:
            await self._transcript.append(line)
        else:
            await self._finish(turn, run, line.message.content or "", line)

    async def settle(
        self, turn: TurnRecord, caller: Caller, run: Turn, outcome: Finished | Failed | Parked
    ) -> None:
        """The turn came to its end: senders and creators are told, then it is final.

        One that waits for a human stands still instead.
        """
        try:
            if isinstance(outcome, Parked):
                await self.parked(turn, caller, run, outcome.calls)
            else:
                await self._settle(turn, caller, run, outcome)
        except StorageError as refused:
            # It is settled once the disk takes it; whoever waits for it learns what is wrong.
            self._failed(turn, refused.as_json(), run.usage)
            raise

    async def _settle(
        self, turn: TurnRecord, caller: Caller, run: Turn, outcome: Finished | Failed
    ) -> None:
        if isinstance(self._end, RunFinished):
            return
        # What waits in it were answered is in the transcript by now.
        await self._services.comms.post.read(caller.answers)
        if isinstance(outcome, Failed):
            await self.fail(turn, caller, outcome.error, run)
            return
        comms = self._services.comms
        await comms.settling.turn_finished(caller, outcome.text)
        if caller.task is not None:
            await comms.tasks.turn_finished(caller, caller.task, outcome.text)
        await self._finish(turn, run, outcome.text)

    async def _finish(self, turn: TurnRecord, run: Turn, text: str, *before: MessageRecord) -> None:
        at = now()
        finished = msgspec.structs.replace(
            turn, time=at, status="finished", ended_at=at, usage=run.usage
        )
        end = RunFinished(
            session=self._settings().id,
            trace=turn.lineage.trace,
            run_id=turn.id,
            final_message=text,
            usage=run.usage,
        )
        try:
            await self._transcript.append(*before, finished)
        except asyncio.CancelledError:
            self._end = end  # it is stored all the same
            raise
        self._end = end

    async def fail(
        self, turn: TurnRecord, caller: Caller, error: ClawdError, run: Turn | None = None
    ) -> None:
        """The turn failed: it is tried once more after a while, or given up."""
        comms = self._services.comms
        again = turn.crashes < MAX_STARTS and not _hopeless(error)
        if turn.trigger.kind == "task":
            retryable = again and getattr(error, "retryable", False)
            again = await comms.tasks.turn_failed(turn.trigger.ids[0], error, again=retryable)
        elif turn.trigger.kind == "message":
            again = again and turn.attempt < MAX_DELIVERIES
            await comms.settling.turn_failed(caller, error.message, final=not again)
            if caller.task is not None and not again:
                await comms.tasks.turn_failed(caller.task, error, again=False)
        else:
            again = False
        status = "waiting" if again else "failed"
        usage = run.usage if run else turn.usage

        def cut_off() -> None:
            # One that waits goes on with its session.
            self._failed(turn, error.as_json(), usage)
            if not again:
                self._services.clock.later(0, lambda: self._services.desk.withdraw(turn=turn.id))

        turn = await self._store(
            turn,
            cut_off,
            status=status,
            usage=usage,
            error=error.as_json(),
            ended_at=None if again else now(),
        )
        self._failed(turn, error.as_json(), usage)
        if again:
            self._retry_later(turn)
        else:
            await self._services.desk.withdraw(turn=turn.id)

    async def _store(
        self, turn: TurnRecord, cut_off: Callable[[], object], **fields: Any
    ) -> TurnRecord:
        """Store how a turn ended; ``cut_off`` where a cancellation comes meanwhile."""
        try:
            return await self._transcript.change(turn, **fields)
        except asyncio.CancelledError:
            cut_off()  # it is stored all the same
            raise

    def _retry_later(self, turn: TurnRecord) -> None:
        from_now = min(60.0, 0.5 * 2**turn.attempt)

        async def publish() -> None:
            self._services.bus.publish(turn_envelope(turn, self._settings().id))

        self._services.clock.later(from_now, publish)

    def _failed(self, turn: TurnRecord, error: JSON, usage: Usage | None) -> None:
        self._end = self._failure(turn, error, usage)

    def _failure(self, turn: TurnRecord, error: JSON, usage: Usage | None) -> RunFailed:
        return RunFailed(
            session=self._settings().id,
            trace=turn.lineage.trace,
            run_id=turn.id,
            error=error,
            usage=usage or Usage(),
        )


def turn_envelope(turn: TurnRecord, session: str) -> Envelope:
    """The request to run an open turn of the transcript."""
    fresh = turn.trigger.kind == "schedule" and not turn.started_at
    return Envelope(turn.id, "schedule" if fresh else "turn", session, turn.lineage)


def _hopeless(error: ClawdError) -> bool:
    """Whether every later attempt would fail in the same way."""
    return isinstance(error, GuardRefused) or error.code == "line_too_large"
