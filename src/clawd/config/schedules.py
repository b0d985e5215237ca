"""The operator's own schedules of a session (`sessions.<id>.schedules`)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from clawd.config.problem import Path
from clawd.config.record import Record, Text
from clawd.errors import Invalid
from clawd.timing.recurrence import When, read_cron, read_once, read_period, read_when
from clawd.timing.zones import find_zone

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MADE = "sched-"
"""How the ids begin of schedules that were made at run time."""

MAX_TEXT = 16 * 1024
"""How many characters a schedule says."""

Missed = Literal["run", "skip"]


class ScheduleEntry(Record):
    """One schedule: when it is due by one of ``once``, ``every``, ``cron``, and what is said then.

    ``zone`` is that of the cron line, or of a time without an offset; this machine's when left
    out. ``missed`` is what becomes of a run whose time passed while nobody could begin it.
    """

    id: Text
    text: Annotated[Text, Field(max_length=MAX_TEXT, repr=False)]
    once: Text | None = None
    every: Text | None = None
    cron: Text | None = None
    zone: Text | None = None
    missed: Missed = "run"
    heartbeat: bool = False
    enabled: bool = True

    @property
    def when(self) -> When:
        """When it is due."""
        return read_when(
            time.time(), once=self.once, every=self.every, cron=self.cron, zone=self.zone
        )

    @field_validator("id")
    @classmethod
    def _plain_id(cls, text: str) -> str:
        if _ID.fullmatch(text) is None or text.startswith(MADE):
            raise ValueError(
                f"schedule id {text[:80]!a} is not allowed; 1 to 64 letters, digits, _ or -, "
                f"not beginning with {MADE}"
            )
        return text

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        with_mend(find_zone, name)
        return name

    @field_validator("cron")
    @classmethod
    def _cron(cls, line: str | None) -> str | None:
        with_mend(read_cron, line)
        return line

    @field_validator("every")
    @classmethod
    def _period(cls, text: str | None) -> str | None:
        with_mend(read_period, text)
        return text

    @field_validator("once")
    @classmethod
    def _moment(cls, text: str | None) -> str | None:
        if text is not None and text.strip().lower().startswith("in "):
            raise ValueError(
                f"{text[:80]!a} begins anew at every start; write a time, such as "
                "2026-12-24T18:00+01:00"
            )
        with_mend(lambda line: read_once(line, time.time()), text)
        return text

    @model_validator(mode="after")
    def _one_of_three(self) -> ScheduleEntry:
        given = [name for name in ("once", "every", "cron") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"has {' and '.join(given) or 'none of once, every, cron'}; give one of the three"
            )
        return self


def with_mend(read: Callable[[str], object], text: str | None) -> None:
    """Raise what ``read`` finds wrong with a text as pydantic has it: the sentence; the mend."""
    if text is None:
        return
    try:
        read(text)
    except Invalid as wrong:
        raise ValueError(f"{wrong.message}; {wrong.hint}") from None


def unique(entries: tuple[ScheduleEntry, ...]) -> tuple[ScheduleEntry, ...]:
    """The entries, when no two have one id."""
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            raise ValueError(f"two schedules have the id {entry.id!a}; rename one")
        seen.add(entry.id)
    return entries


def too_often(entries: tuple[ScheduleEntry, ...], least: float) -> Iterator[tuple[Path, str, str]]:
    """The entries that come more often than every ``least`` seconds: place, problem, mend."""
    for index, entry in enumerate(entries):
        if entry.every is not None and read_period(entry.every) < least:
            yield (
                (index, "every"),
                f"{entry.every!a} is more often than every {least:g} seconds",
                "Make it longer, or lower limits.minScheduleSeconds",
            )
