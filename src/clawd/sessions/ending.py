"""How turns end: settled, tried once more, given up, stopped; and who is told so."""

from __future__ import annotations

from collections.abc import Callable

from clawd.agent.loop import Failed, Finished, Turn
from clawd.bus.port import Envelope
from clawd.comms.caller import Caller
from clawd.comms.models import SessionMessage
from clawd.comms.settling import MAX_DELIVERIES
from clawd.config.schema import SessionSettings
from clawd.errors import ClawdError, GuardRefused
from clawd.events import RunFailed
from clawd.ids import now
from clawd.sessions.records import TurnRecord
from clawd.sessions.services import Services
from clawd.sessions.transcript import Transcript

MAX_STARTS = 3
"""How often a turn is started that the daemon does not survive."""


class TurnEnding:
    """Brings the turns of one session to their ends, and knows what each of them is about."""

    def __init__(
        self, settings: Callable[[], SessionSettings], transcript: Transcript, services: Services
    ) -> None:
        self._settings = settings
        self._transcript = transcript
        self._services = services

    def messages(self, turn: TurnRecord) -> list[SessionMessage]:
        """The messages that started the turn."""
        if turn.trigger.kind != "message":
            return []
        box = self._services.comms.post.box(self._settings().id)
        return [message for i in turn.trigger.ids if (message := box.get(i)) is not None]

    def task(self, turn: TurnRecord) -> str | None:
        """The task that the turn works on: its own, or the one that a child's result continues."""
        if turn.trigger.kind == "task":
            return turn.trigger.ids[0]
        verdicts = self._services.comms.tasks.verdicts
        found = (verdicts.continued(message) for message in self.messages(turn))
        return next((task.id for task in found if task is not None), None)

    async def cancelled(self, turn: TurnRecord, answers: list[SessionMessage], by: str) -> None:
        """The turn was stopped for good: its messages are read, its task is cancelled."""
        turn = self._transcript.turns.get(turn.id, turn)
        task_id = self.task(turn)
        error = {"error": "cancelled", "message": f"cancelled by {by}"}
        await self._transcript.change(turn, status="cancelled", ended_at=now(), error=error)
        settling = self._services.comms.settling
        await settling.turn_cancelled(self.messages(turn), answers, by)
        task = self._services.comms.board.find(task_id)
        if task is not None and not task.final:
            await self._services.comms.tasks.end(
                task, "cancelled", reason=f"its turn was stopped by {by}"
            )

    async def suspended(self, turn: TurnRecord) -> None:
        """The session stops in good order: the turn goes on later, as if not started."""
        turn = self._transcript.turns.get(turn.id, turn)
        if turn.status == "running":
            await self._transcript.change(turn, status="waiting", attempt=turn.attempt - 1)
            if turn.trigger.kind == "task":
                await self._services.comms.tasks.suspended(turn.trigger.ids[0])

    async def settle(
        self, turn: TurnRecord, caller: Caller, run: Turn, outcome: Finished | Failed
    ) -> None:
        """The turn came to its end: senders and creators are told, then it is final."""
        # What waits in it were answered is in the transcript by now.
        await self._services.comms.post.read(caller.answers)
        if isinstance(outcome, Failed):
            await self.fail(turn, caller, outcome.error, run)
            return
        comms = self._services.comms
        await comms.settling.turn_finished(caller, outcome.text)
        if caller.task is not None:
            await comms.tasks.turn_finished(caller, caller.task, outcome.text)
        await self._transcript.change(turn, status="finished", ended_at=now(), usage=run.usage)

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
        turn = await self._transcript.change(
            turn,
            status=status,
            usage=run.usage if run else None,
            error=error.as_json(),
            ended_at=None if again else now(),
        )
        if again:
            self._retry_later(turn)

    def _retry_later(self, turn: TurnRecord) -> None:
        from_now = min(60.0, 0.5 * 2**turn.attempt)

        async def publish() -> None:
            self._services.bus.publish(turn_envelope(turn, self._settings().id))

        self._services.clock.later(from_now, publish)

    def tell(self, turn: TurnRecord, error: ClawdError) -> None:
        """Put the failure on the stream, for a turn that the loop did not come to."""
        session, trace = self._settings().id, turn.lineage.trace
        self._services.emit(
            RunFailed(session=session, trace=trace, run_id=turn.id, error=error.as_json())
        )


def turn_envelope(turn: TurnRecord, session: str) -> Envelope:
    """The request to run an open turn of the transcript."""
    return Envelope(turn.id, "turn", session, turn.lineage)


def _hopeless(error: ClawdError) -> bool:
    """Whether every later attempt would fail in the same way."""
    return isinstance(error, GuardRefused) or error.code == "line_too_large"
