"""When a schedule is due: once, every so often, or by a cron line in a time zone.

Everything here computes on Unix times in seconds; zones enter with the cron line alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from clawd.errors import Invalid
from clawd.ids import seconds_of, timestamp
from clawd.timing.zones import find_zone, local_zone

SHORTEST_SECONDS = 0.1
LONGEST_SECONDS = 366 * 86_400
"""The bounds of a period."""
AHEAD_SECONDS = 50 * 366 * 86_400
"""What is not due within so long never is."""

_CRON_CHARACTERS = 200
_STEPS = 10_000
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)[\s,]*", re.IGNORECASE)
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
}


@dataclass(frozen=True, slots=True)
class When:
    """One of three: a moment (UTC, ISO 8601), a period in seconds, or five fields of cron."""

    once: str = ""
    every: float = 0.0
    cron: str = ""
    zone: str = ""
    """The cron line's, by its IANA name."""

    def describe(self) -> str:
        """A few words for people and models."""
        if self.once:
            return f"once at {self.once}"
        if self.every:
            return f"every {spoken(self.every)}"
        return f"cron {self.cron} ({self.zone}): {CronSim(self.cron, datetime.now(UTC)).explain()}"


def read_when(
    now: float,
    *,
    once: str | None = None,
    every: str | None = None,
    cron: str | None = None,
    zone: str | None = None,
) -> When:
    """The recurrence that was written; ``Invalid`` says what is wrong with it.

    ``zone`` is that of the cron line, or of a time without an offset; this machine's when left
    out. A moment may have passed: whether that matters is for the caller.
    """
    given = [name for name, text in (("once", once), ("every", every), ("cron", cron)) if text]
    if len(given) != 1:
        raise Invalid(
            "invalid_schedule",
            f"give one of once, every, cron, not {', '.join(given) or 'none'}",
            hint='such as once "in 10 minutes", every "2 hours" or cron "0 8 * * 1-5"',
        )
    if zone:
        find_zone(zone)
    if once:
        return When(once=timestamp(read_once(once, now, zone)))
    if every:
        return When(every=read_period(every))
    line = read_cron(cron or "")
    when = When(cron=line, zone=zone or local_zone())
    if next_after(when, now, now) is None:
        raise never(line)
    return when


def read_period(text: str) -> float:
    """A period in seconds, as in ``90 seconds``, ``2 hours``, ``1h 30m``; ``Invalid``."""
    wrong = Invalid(
        "invalid_period",
        f"{text[:80]!a} is not a period",
        hint='a number and seconds, minutes, hours, days or weeks, such as "30 minutes"',
    )
    rest, total = text.strip(), 0.0
    if not rest or len(rest) > 80:
        raise wrong
    while rest:
        part = _PART.match(rest)
        if part is None or part[2].lower() not in _UNITS:
            raise wrong
        total += float(part[1]) * _UNITS[part[2].lower()]
        rest = rest[part.end() :]
    if not SHORTEST_SECONDS <= total <= LONGEST_SECONDS:
        raise Invalid(
            "invalid_period",
            f"the period {text[:80]!a} is not between a tenth of a second and 366 days",
            hint="for something rarer use a cron line",
        )
    return total


def read_once(text: str, now: float, zone: str | None = None) -> float:
    """A moment, as ``in 10 minutes`` or an ISO 8601 time; ``Invalid``.

    A time without an offset is one of ``zone``, or of this machine's.
    """
    line = text.strip()
    if line.lower().startswith("in "):
        return now + read_period(line[3:])
    try:
        moment = datetime.fromisoformat(line)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=find_zone(zone or local_zone()))
        at = moment.timestamp()
    except (ValueError, OverflowError):
        at = math.nan
    if math.isnan(at) or len(line) <= len("2026-12-24"):
        raise Invalid(
            "invalid_time",
            f"{line[:80]!a} is not a time",
            hint='such as "2026-12-24T18:00+01:00" or "in 10 minutes"',
        )
    if at > now + AHEAD_SECONDS:
        raise Invalid("invalid_time", f"{line[:80]!a} is more than 50 years away", hint="nearer")
    return at


def read_cron(text: str) -> str:
    """The line with single spaces, when it is five fields of cron that can come; ``Invalid``."""
    line = " ".join(text.split())
    hint = 'five fields: minute hour day month weekday, such as "30 8 * * 1-5"'
    if len(line.split()) != 5 or len(line) > _CRON_CHARACTERS:
        raise Invalid("invalid_cron", f"{line[:80]!a} is not a cron line", hint=hint)
    try:
        next(CronSim(line, datetime(2026, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise never(line) from None
    except CronSimError as problem:
        if str(problem) == "Bad day-of-month" and _impossible_day(line):
            raise never(line) from None
        raise Invalid(
            "invalid_cron", f"{line[:80]!a} is not a cron line ({str(problem).lower()})", hint=hint
        ) from None
    except (AssertionError, TypeError, ValueError, IndexError):
        raise Invalid("invalid_cron", f"{line[:80]!a} is not a cron line", hint=hint) from None
    return line


def never(line: str) -> Invalid:
    """The error for a cron line that names no day of the calendar."""
    return Invalid(
        "cron_never",
        f"the cron line {line[:80]!a} never comes",
        hint="such as day 31 of February: choose another day or month",
    )


def next_after(when: When, since: float, after: float) -> float | None:
    """The first time later than ``after`` at which it is due; ``None`` when there is none.

    Periods are counted from ``since``. A time of a cron line that the clocks skip is due when they
    have been put forward; one that comes twice is due the first time.
    """
    if when.once:
        at = seconds_of(when.once)
        return at if at > after else None
    if when.every:
        steps = max(1, math.floor((after - since) / when.every) + 1)
        # In milliseconds, as times are written: what was read back compares as what was computed.
        at = round(since + steps * when.every, 3)
        return at if at > after else round(since + (steps + 1) * when.every, 3)
    zone = find_zone(when.zone)
    lines = CronSim(when.cron, datetime.fromtimestamp(math.floor(after), zone))
    for _ in range(_STEPS):
        try:
            # Compared as instants: two times of one zone are compared by their faces.
            at = next(lines).timestamp()
        except (StopIteration, OverflowError):
            return None
        if at > after:
            return at
    return None


def spoken(seconds: float) -> str:
    """A period in its largest whole unit, as in ``90 minutes``, ``1 day``."""
    for name, size in (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= size and seconds % size == 0:
            count = int(seconds / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


def _impossible_day(line: str) -> bool:
    """Whether the day of the month is one by itself, and only its months do not have it."""
    minute, hour, day, _, weekday = line.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True
