"""A world for schedules in which a test turns the clock: sessions, mail, and time."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from clawd.agent.workbench import Place
from clawd.config.limits import Limits
from clawd.config.schema import SessionSettings
from clawd.errors import Refused
from clawd.events import Event, Notice, RunFailed, RunFinished
from clawd.ids import seconds_of, timestamp
from clawd.lineage import Lineage
from clawd.messages import JSON
from clawd.storage.writer import Writer
from clawd.stream import EventStream
from clawd.tools.schedule.kit import Schedules
from clawd.tools.schedule.records import FILE_NAME, Run, Schedule


class Killed(BaseException):
    """The daemon ends here."""


START = seconds_of("2026-11-20T12:00:00Z")


@dataclass
class Turn:
    """A turn that a schedule asked for."""

    id: str
    source: str
    text: str
    lineage: Lineage
    at: float
    status: str = "queued"
    said: str = ""
    error: JSON | None = None


@dataclass(frozen=True)
class End:
    """How it ended."""

    status: str
    text: str
    error: JSON | None


@dataclass
class World:
    """One session ``s``, whose turns end when the test says so; they outlive the daemon."""

    folder: Path
    writer: Writer
    clock: float = START
    turns: dict[str, Turn] = field(default_factory=dict)
    mail: dict[str, tuple[str, bool]] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    status: str = "idle"
    dies: str = ""
    """What the daemon does not survive: ``begin`` is before a turn is stored."""
    limits: Limits = field(default_factory=Limits)
    settings: SessionSettings = field(default_factory=lambda: SessionSettings(id="s"))

    def __post_init__(self) -> None:
        self._timers: list[tuple[float, int, Callable[[], Awaitable[object]]]] = []
        self._count = 0
        self._gone: set[int] = set()
        self.kit = self._built()

    def _built(self) -> Schedules:
        self._timers.clear()
        self.stream = EventStream()
        kit = Schedules(
            self, self, self.writer, lambda _: self.limits, self._emit, self._later,
            clock=lambda: self.clock,
        )  # fmt: skip
        self.stream.observe(kit.see)
        return kit

    async def start(self) -> None:
        """The daemon starts (anew): what is in memory is gone, files and turns are not."""
        self.dies = ""
        self.kit = self._built()
        await self.kit.settle([Place(self.settings, self.folder)])
        await self.passes(0)

    async def passes(self, seconds: float) -> None:
        """Time goes by, with all that happens in it."""
        until = self.clock + seconds
        for _ in range(100_000):
            if not self._timers or self._timers[0][0] > until:
                break
            at, number, what = heapq.heappop(self._timers)
            if number not in self._gone:
                self.clock = max(self.clock, at)
                await what()
        self.clock = until

    async def ends(self, said: str = "ok", error: JSON | None = None, status: str = "") -> None:
        """The turn that waits longest ends."""
        turn = self.waiting()[0]
        turn.status = status or ("failed" if error else "finished")
        turn.said, turn.error = said, error
        if error is not None:
            self._emit(RunFailed(session="s", run_id=turn.id, error=error))
        else:
            self._emit(RunFinished(session="s", run_id=turn.id, final_message=said))
        await self.passes(0)

    def waiting(self) -> list[Turn]:
        """The turns that have not ended."""
        return [turn for turn in self.turns.values() if turn.status == "queued"]

    def begun(self) -> list[str]:
        """When each turn was begun, as seconds since the start."""
        return [f"{turn.at - START:g}" for turn in self.turns.values()]

    def only(self) -> Schedule:
        """The one schedule, as its file has it."""
        lines = (self.folder / FILE_NAME).read_bytes().splitlines()
        records = {r.id: r for r in (msgspec.json.decode(line, type=Schedule) for line in lines)}
        (schedule,) = (record for record in records.values() if not record.deleted)
        return schedule

    def last(self) -> Run:
        """How its last run went."""
        last = self.only().last
        assert last is not None
        return last

    def next(self) -> float:
        """When it is due next, as seconds since the start."""
        return round(seconds_of(self.only().next) - START, 3)

    async def create(self, **wish: Any) -> Schedule:
        """A schedule of the session's own."""
        return await self.kit.create("s", **{"text": "look", "by": "s", **wish})

    def at(self, seconds: float) -> str:
        """A time after the start."""
        return timestamp(START + seconds)

    # What schedules ask of the daemon.

    def standing(self, session: str) -> str:
        """What the session is doing."""
        return self.status

    async def begin(
        self, session: str, turn: str, source: str, text: str, lineage: Lineage
    ) -> None:
        """A turn is stored."""
        if self.dies == "begin":
            raise Killed
        if self.status == "failed":
            raise Refused("session_failed", "it is parked")
        self.turns.setdefault(turn, Turn(turn, source, text, lineage, self.clock))
        if self.dies == "begun":
            raise Killed

    def is_open(self, session: str, turn: str) -> bool:
        """Whether the turn waits or runs."""
        return turn in self.turns and self.turns[turn].status == "queued"

    async def ended(self, session: str, turn: str) -> End | None:
        """How the turn ended."""
        found = self.turns.get(turn)
        if found is None or found.status == "queued":
            return None
        return End(found.status, found.said, found.error)

    async def tell(self, session: str, turn: str, lineage: Lineage, text: str) -> str:
        """A message to the operator, one for a turn."""
        self.mail.setdefault(turn, (text, False))
        return turn

    def unread(self, message: str) -> bool:
        """Whether the operator has not read it."""
        return message in self.mail and not self.mail[message][1]

    def says(self, message: str, text: str) -> bool:
        """Whether it says just that."""
        return message in self.mail and self.mail[message][0] == text

    def _emit(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event)
        self.stream.publish(event)

    def _later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> Callable[[], None]:
        self._count += 1
        number = self._count
        heapq.heappush(self._timers, (self.clock + seconds, number, what))
        return lambda: self._gone.add(number)
