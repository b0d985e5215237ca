"""The turns of a session that are stopped for good: kept in mind until that is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from clawd.sessions.ending import turn_envelope
from clawd.sessions.records import TurnRecord
from clawd.sessions.services import Services
from clawd.sessions.steering import Steering
from clawd.sessions.transcript import Transcript


class Stopping:
    """Who stopped a turn that ran, and which turns are withdrawn before they run."""

    def __init__(
        self,
        session: Callable[[], str],
        transcript: Transcript,
        steering: Steering,
        services: Services,
    ) -> None:
        self._session = session
        self._transcript = transcript
        self._steering = steering
        self._services = services
        self._by: dict[str, str] = {}
        self._withdrawn: set[str] = set()

    def stop(self, turn_id: str, by: str) -> None:
        """The turn that runs goes no further, also when its end cannot be stored yet."""
        self._by[turn_id] = by

    def by(self, turn_id: str) -> str:
        """Who stopped it; "" for one that may run."""
        return self._by.get(turn_id, "")

    def ended(self, turn_id: str) -> None:
        """Its end is stored."""
        self._by.pop(turn_id, None)

    def withdraws(self, turn_id: str) -> bool:
        """Whether it is being withdrawn right now: it is not to begin meanwhile."""
        return turn_id in self._withdrawn

    async def withdraw(
        self,
        turn: TurnRecord,
        store: Callable[[], Awaitable[object]],
        runs: Callable[[], bool],
    ) -> None:
        """Take a turn out of what waits; it waits on when ``store`` cannot store that.

        ``runs``: whether another turn runs, which it may steer.
        """
        self._withdrawn.add(turn.id)
        self._services.bus.withdraw(self._session(), turn.id)
        steers = self._steering.take_away(turn.id)
        try:
            await store()
        finally:
            self._withdrawn.discard(turn.id)
            if turn.id not in self._transcript.turns:
                self.ended(turn.id)
            elif steers and runs():
                self._steering.add(turn)
            elif turn.status != "parked" or not self._services.desk.waits_in(turn.id):
                self._services.bus.publish(turn_envelope(turn, self._session()))
