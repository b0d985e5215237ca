"""What a session can do with its own schedules."""

from __future__ import annotations

from typing import Protocol

import msgspec

from clawd.agent.tool import Answer, tool
from clawd.agent.workbench import Workbench
from clawd.ids import OPERATOR
from clawd.lineage import Lineage
from clawd.tools.schedule.changes import Wish
from clawd.tools.schedule.records import Schedule, line, public


class Desk(Protocol):
    """Where schedules are made and changed (see ``clawd.tools.schedule.kit``)."""

    async def create(
        self,
        session: str,
        text: str,
        *,
        once: str | None = None,
        every: str | None = None,
        cron: str | None = None,
        zone: str | None = None,
        missed: str | None = None,
        heartbeat: bool = False,
        lineage: Lineage | None = None,
        by: str = "",
    ) -> Schedule:
        """Make a schedule."""
        ...

    async def all(self, session: str | None = None) -> list[tuple[str, Schedule]]:
        """Every schedule of a session."""
        ...

    async def update(
        self, session: str, schedule_id: str, wish: Wish, *, by: str, lineage: Lineage | None = None
    ) -> Schedule:
        """Change a schedule."""
        ...

    async def delete(self, session: str, schedule_id: str, *, by: str) -> Schedule:
        """Take a schedule away."""
        ...


class ScheduleTools:
    """Wake oneself later, once or again and again."""

    def __init__(self, desk: Desk, bench: Workbench) -> None:
        self._desk = desk
        self._bench = bench

    @property
    def _by(self) -> str:
        return self._bench.session if self._bench.turn else OPERATOR

    @property
    def _lineage(self) -> Lineage:
        """What led here, marked once the turn has read text from outside."""
        lineage = self._bench.lineage
        marked = lineage.untrusted or self._bench.trust.untrusted
        return msgspec.structs.replace(lineage, untrusted=marked)

    @tool()
    async def schedule_create(
        self,
        text: str,
        once: str | None = None,
        every: str | None = None,
        cron: str | None = None,
        zone: str | None = None,
        missed: str = "run",
        heartbeat: bool = False,
    ) -> Answer:
        """Wake yourself later with a text: once, every so often, or by a cron line.

        Give one of once, every, cron. Each run is a turn of its own that begins with the text.

        Args:
            text: what you are to do then, complete in itself
            once: a time such as 2026-12-24T18:00+01:00, or "in 10 minutes"
            every: a period such as "30 minutes" or "2 hours"
            cron: five fields, minute hour day month weekday, such as "30 8 * * 1-5"
            zone: the time zone of cron, or of a time without an offset, such as Europe/Berlin
            missed: "run" makes up for a run whose time passed unserved, once; "skip" does not
            heartbeat: send the final text of each run to your human, unless it is HEARTBEAT_OK
        """
        made = await self._desk.create(
            self._bench.session,
            text,
            once=once,
            every=every,
            cron=cron,
            zone=zone,
            missed=missed,
            heartbeat=heartbeat,
            lineage=self._lineage,
            by=self._by,
        )
        said = f"Schedule {made.id} is set: {made.when.describe()}; the next run is at {made.next}."
        return Answer(said, self._shown(made))

    @tool()
    async def schedule_list(self) -> Answer:
        """Your schedules, those too that your human set: when they are due, how they went."""
        found = [schedule for _, schedule in await self._desk.all(self._bench.session)]
        for schedule in found:
            if schedule.untrusted:
                self._bench.trust.mark(f"schedule {schedule.id}")
        head = "1 schedule:" if len(found) == 1 else f"{len(found)} schedules:"
        text = "\n".join([head, *map(line, found)])
        return Answer(
            text if found else "No schedules.", {"schedules": [self._shown(s) for s in found]}
        )

    @tool()
    async def schedule_update(
        self,
        schedule_id: str,
        text: str | None = None,
        once: str | None = None,
        every: str | None = None,
        cron: str | None = None,
        zone: str | None = None,
        missed: str | None = None,
        heartbeat: bool | None = None,
        paused: bool | None = None,
    ) -> Answer:
        """Change a schedule that you made, pause it, or let it go on. What you leave out stays.

        Args:
            schedule_id: the id of the schedule
            text: what you are to do then
            once: another time, or "in 10 minutes"
            every: another period
            cron: another cron line
            zone: another time zone for the cron line
            missed: "run" or "skip"
            heartbeat: whether the final texts go to your human
            paused: true lets it stand still, false go on from its next time
        """
        wish = Wish(text, once, every, cron, zone, missed, heartbeat, paused)
        changed = await self._desk.update(
            self._bench.session, schedule_id, wish, by=self._by, lineage=self._lineage
        )
        return Answer(line(changed)[2:], self._shown(changed))

    @tool()
    async def schedule_delete(self, schedule_id: str) -> Answer:
        """Take away a schedule that you made. A run that has begun goes on.

        Args:
            schedule_id: the id of the schedule
        """
        gone = await self._desk.delete(self._bench.session, schedule_id, by=self._by)
        return Answer(f"Schedule {gone.id} is gone.", {"id": gone.id, "deleted": True})

    def _shown(self, schedule: Schedule) -> dict[str, object]:
        return public(self._bench.session, schedule)
