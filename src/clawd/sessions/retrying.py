"""When the disk takes nothing: what asks for a turn asks again, until the disk has room."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from clawd.bus.port import Envelope, Kind
from clawd.events import Notice
from clawd.sessions.ending import turn_envelope
from clawd.sessions.records import TurnRecord
from clawd.sessions.services import Services
from clawd.sessions.transcript import Transcript

FULL_SECONDS = 2.0
"""How long a session waits on a full disk before it tries again."""

_LONGEST_SECONDS = 60.0


class Retrying:
    """The turns of one session that could not be stored."""

    def __init__(
        self, session: Callable[[], str], transcript: Transcript, services: Services
    ) -> None:
        self._session = session
        self._transcript = transcript
        self._services = services
        self._count = 0
        self._turns: dict[str, str] = {}

    def known(self, turn: TurnRecord) -> TurnRecord:
        """The turn under the id that it had when it was refused: it is counted once."""
        ids = [self._turns.pop(i) for i in turn.trigger.ids if i in self._turns]
        return msgspec.structs.replace(turn, id=ids[0]) if ids else turn

    def stored(self) -> None:
        """A turn ran to its end: the disk takes something again."""
        self._count = 0

    def asking_for(self, turn: TurnRecord) -> list[Envelope]:
        """What asks for this turn again: itself, once it is in the transcript."""
        if turn.id in self._transcript.turns or turn.trigger.kind == "user":
            return [turn_envelope(turn, self._session())]
        kind: Kind = "task" if turn.trigger.kind == "task" else "message"
        return [Envelope(i, kind, self._session(), turn.lineage) for i in turn.trigger.ids]

    def refused(self, turn: TurnRecord, failure: BaseException) -> float:
        """Let it ask again; for how many seconds the session is to do nothing else.

        Where all is full, nothing else could be stored either. Where one file is broken, other
        work goes on, and this is tried again after a growing pause.
        """
        self._count += 1
        full = getattr(failure, "code", "") == "storage_full"
        seconds = FULL_SECONDS if full else min(_LONGEST_SECONDS, 2.0**self._count)
        if self._count == 1 or not full:
            text = f"a turn of {self._session()} waits {seconds:g} s for the disk: {failure}"
            self._services.emit(
                Notice(session=self._session(), code="storage", text=text, level="error")
            )
        self._turns |= dict.fromkeys(turn.trigger.ids, turn.id)
        asking = self.asking_for(turn)

        async def publish() -> None:
            for envelope in asking:
                self._services.bus.publish(envelope)

        self._services.clock.later(0 if full else seconds, publish)
        return seconds if full else 0.0
