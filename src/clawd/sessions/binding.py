"""What a turn is bound to before it runs: who acts in it, who pays for it, how far it may go."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from clawd.agent.history import calls_made, unanswered
from clawd.agent.repetition import Repetition
from clawd.agent.trust import Trust
from clawd.agent.turn import Turn
from clawd.comms.caller import Caller
from clawd.config.schema import SessionSettings, limits_for
from clawd.events import UsageReported
from clawd.ids import OPERATOR
from clawd.ledger.account import Account
from clawd.messages import Usage
from clawd.sessions.ending import TurnEnding
from clawd.sessions.gate import Slot
from clawd.sessions.marks import trust_of
from clawd.sessions.records import TurnRecord
from clawd.sessions.services import Services
from clawd.sessions.transcript import Transcript


class Binding:
    """Makes the callers, accounts and bounds of one session's turns."""

    def __init__(
        self,
        settings: Callable[[], SessionSettings],
        workspace: Path,
        transcript: Transcript,
        ending: TurnEnding,
        services: Services,
    ) -> None:
        self._settings = settings
        self._workspace = workspace
        self._transcript = transcript
        self._ending = ending
        self._services = services

    def bind(
        self, turn: TurnRecord, slot: Slot, goes_on: Callable[[], bool]
    ) -> tuple[Caller, Turn]:
        """Who acts in a turn that runs in ``slot``, and its bounds, what it did before counted.

        ``goes_on``: whether it goes on later when it is cancelled.
        """
        settings = self._settings()
        limits = limits_for(self._services.config(), settings)
        said = self._transcript.of_turn(turn.id)
        repetition = Repetition(
            limits.repeated_call_warn, limits.repeated_call_stop, limits.max_failed_calls_in_a_row
        )
        repetition.replay(said, unanswered(said))  # what waited is counted when it is made
        run = Turn(
            turn.id,
            settings.id,
            turn.lineage.trace,
            self._services.emit,
            limits.max_model_calls_per_turn,
            repetition,
            turn.usage or Usage(),
            calls_made(said),
            sum(m.role == "assistant" for m in said),
            goes_on,
            self._trust(turn),
        )
        return self.caller(turn, run, slot), run

    def caller(self, turn: TurnRecord, run: Turn | None = None, slot: Slot | None = None) -> Caller:
        """Who acts in a turn."""
        caller = Caller(
            self._settings().id,
            turn.lineage,
            turn.id,
            tuple(self._ending.messages(turn)),
            self._ending.task(turn),
            run.done if run else {},
            self._workspace,
            trust=run.trust if run else Trust(),
            trigger=turn.trigger.kind,
        )
        return replace(caller, pause=slot.lent) if slot else caller

    def account(
        self, turn: TurnRecord, caller: Caller | None = None, run: Turn | None = None
    ) -> Account:
        """Who pays for the calls of this turn."""
        settings, lineage = self._settings(), turn.lineage
        asked = turn.trigger.kind == "message" and lineage.path[-1:] == (OPERATOR,)
        return Account(
            settings.id,
            lineage.trace,
            turn.id,
            (caller.task or "") if caller else "",
            settings.role,
            own=turn.trigger.kind == "user" or asked,
            budget=lineage.budget,
            lost=partial(self.spent, turn, run),
        )

    def spent(self, turn: TurnRecord, run: Turn | None, model: str, usage: Usage) -> None:
        """A call that is not one of the conversation's replies: a summary, or one cut off."""
        if run is not None:
            run.usage += usage
        self._services.emit(
            UsageReported(
                session=self._settings().id,
                trace=turn.lineage.trace,
                run_id=turn.id,
                model=model,
                usage=usage,
            )
        )

    def _trust(self, turn: TurnRecord) -> Trust:
        task = self._services.comms.board.find(self._ending.task(turn))
        read = self._transcript.untrusted(turn.id)
        return trust_of(turn, self._ending.messages(turn), task, read=read)
