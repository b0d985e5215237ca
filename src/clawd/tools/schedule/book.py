"""The schedules of one session: a fold over ``schedules.jsonl`` in its workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from clawd.agent.workbench import Place
from clawd.errors import ClawdError, NotFound, StorageError
from clawd.nearest import nearest
from clawd.storage.jsonl import Log
from clawd.storage.sealing import Sealing
from clawd.storage.writer import Writer
from clawd.tools.schedule.records import FILE_NAME, Schedule, blank


class Book:
    """One session's schedules. Whoever changes one holds ``lock`` from the look to the write."""

    def __init__(
        self,
        place: Place,
        writer: Writer,
        sealing: Sealing | None = None,
        cut: Callable[[Book, Iterable[Schedule]], object] = lambda _book, _schedules: None,
    ) -> None:
        """``cut`` is told of schedules whose change was cancelled on its way to the disk."""
        self.place = place
        self.lock = asyncio.Lock()
        self.path = place.workspace / FILE_NAME
        self._cut = cut
        self.begun: set[str] = set()
        """The turns of open runs that are known to be in the transcript."""
        owner = (place.id,)
        sealer = sealing.sealer(blank, lambda _: owner) if sealing is not None else None
        self._log = Log[Schedule](self.path, Schedule, writer, sealer=sealer)
        self._schedules: dict[str, Schedule] = {}
        self._trouble: StorageError | None = None

    @property
    def session(self) -> str:
        """The session's id."""
        return self.place.id

    @property
    def trouble(self) -> StorageError | None:
        """Why its file could not be read, if it could not."""
        return self._trouble

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words.

        One that cannot be read leaves the session without schedules, and takes none.
        """
        try:
            loaded = self._log.load()
        except ClawdError as error:
            self._trouble = StorageError(error.code, error.message, hint=error.hint)
            return [f"the schedules of {self.session} stand still: {error.message}"]
        self._trouble = None
        self._schedules = {i: s for i, s in loaded.records.items() if not s.deleted}
        return [str(problem) for problem in loaded.problems]

    def all(self) -> list[Schedule]:
        """Every schedule, in the order in which they came."""
        return list(self._schedules.values())

    def find(self, schedule_id: str) -> Schedule | None:
        """A schedule by id."""
        return self._schedules.get(schedule_id)

    def get(self, schedule_id: str) -> Schedule:
        """A schedule by id; ``NotFound`` naming the nearest."""
        self.check()
        found = self._schedules.get(schedule_id)
        if found is None:
            raise unknown(schedule_id, self._schedules)
        return found

    def check(self) -> None:
        """``StorageError`` when its file could not be read."""
        trouble = self._trouble
        if trouble is not None:
            raise StorageError(trouble.code, trouble.message, hint=trouble.hint)

    async def put(self, *schedules: Schedule) -> None:
        """Store schedules as they are now; durable when this returns."""
        self.check()
        try:
            await self._log.append(*schedules)
        except asyncio.CancelledError:
            # The lines are on their way to the disk all the same: memory must not know less.
            self._take(schedules)
            self._cut(self, schedules)
            raise
        self._take(schedules)

    async def tidy(self) -> None:
        """Rewrite the file when most of its lines are superseded."""
        if self._trouble is None and self._log.wasteful(len(self._schedules)):
            kept = set(self._schedules)
            await self._log.compact(lambda schedule_id: schedule_id in kept)

    async def reseal(self) -> tuple[int, int]:
        """Seal every line, or open it, as the session's settings are now; bytes before, after."""
        return await self._log.reseal()

    def _take(self, schedules: Iterable[Schedule]) -> None:
        for schedule in schedules:
            if schedule.deleted:
                self._schedules.pop(schedule.id, None)
            else:
                self._schedules[schedule.id] = schedule


def unknown(schedule_id: str, known: Iterable[str]) -> NotFound:
    """The error for an id that is not there."""
    names = list(known)
    near = nearest(schedule_id, names)
    some = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    return NotFound(
        "unknown_schedule",
        f"there is no schedule {schedule_id[:80]!a}",
        hint=f"did you mean {near}?" if near else f"schedules: {some or 'none'}",
    )
