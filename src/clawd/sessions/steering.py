"""The lines that steer the turn that runs, until each has been heard."""

from __future__ import annotations

from clawd.sessions.records import TurnRecord


class Steering:
    """What waits for a session's running turn, in order; what it does not hear runs by itself."""

    def __init__(self) -> None:
        self._lines: list[TurnRecord] = []

    def add(self, line: TurnRecord) -> None:
        """A line that was accepted while the turn runs."""
        self._lines.append(line)

    def first(self) -> TurnRecord | None:
        """The one that is to be heard next; it waits on until it is taken away."""
        return self._lines[0] if self._lines else None

    def take_away(self, turn_id: str) -> bool:
        """It was heard, and that is stored; or it was withdrawn. Whether it was there."""
        before = len(self._lines)
        self._lines = [line for line in self._lines if line.id != turn_id]
        return len(self._lines) < before

    def unheard(self) -> list[TurnRecord]:
        """What waits, once the turn has ended; nothing does any more."""
        lines, self._lines = self._lines, []
        return lines
