"""The turns that schedules ask for: begun once each, and found again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from clawd.bus.port import MessageBus
from clawd.ids import now
from clawd.lineage import Lineage
from clawd.messages import JSON
from clawd.sessions.ending import turn_envelope
from clawd.sessions.manager import SessionManager
from clawd.sessions.records import OPEN, Trigger, TurnRecord


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """How a turn ended: its status, its final text, its error."""

    status: str
    text: str = ""
    error: JSON | None = None


class ScheduledTurns:
    """Puts turns into transcripts and inboxes, and says what became of them."""

    def __init__(self, sessions: Callable[[], SessionManager], bus: MessageBus) -> None:
        self._sessions = sessions
        self._bus = bus

    def standing(self, session_id: str) -> str:
        """What the session is doing: idle, busy, paused, failed or disabled."""
        return self._sessions().status(session_id)

    async def begin(
        self, session_id: str, turn_id: str, source: str, text: str, lineage: Lineage
    ) -> None:
        """Make the turn durable and let it wait for its place; once, however often asked.

        ``Refused`` when the session is parked, ``StorageError`` when the disk refuses.
        """
        session = self._sessions().get(session_id)
        session.check_served()
        if turn_id in session.transcript.turns:
            return
        turn = TurnRecord(
            id=turn_id,
            conversation=session.transcript.conversation,
            time=now(),
            status="queued",
            # Without ids: those of a trigger name what one turn alone may begin with.
            trigger=Trigger("schedule", source, text=text),
            lineage=lineage,
        )
        try:
            await session.transcript.append(turn)
        except asyncio.CancelledError:
            self._bus.publish(turn_envelope(turn, session_id))  # it is stored all the same
            raise
        self._bus.publish(turn_envelope(turn, session_id))

    def is_open(self, session_id: str, turn_id: str) -> bool:
        """Whether the turn waits or runs."""
        session = self._sessions().find(session_id)
        return session is not None and turn_id in session.transcript.turns

    async def ended(self, session_id: str, turn_id: str) -> TurnEnd | None:
        """How the turn ended; ``None`` for one that is open, or that the transcript lacks."""
        session = self._sessions().get(session_id)
        if turn_id in session.transcript.turns:
            return None
        transcript = session.transcript
        found = await asyncio.to_thread(transcript.turns_with, turn_id)
        turn = next((each for each in found if each.id == turn_id), None)
        if turn is None or turn.status in OPEN:
            return None
        finals = await transcript.finals()
        said = [r.message.content or "" for r in finals if r.turn == turn_id]
        return TurnEnd(turn.status, said[-1] if said else "", turn.error)
