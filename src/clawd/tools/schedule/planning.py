"""When a schedule is due next: after a run, a failure, a pause, and while nobody reads it."""

from __future__ import annotations

import msgspec

from clawd.ids import seconds_of, timestamp
from clawd.timing.recurrence import next_after
from clawd.tools.schedule.records import Schedule

GRACE_SECONDS = 60.0
"""A run that begins later than this has been missed."""
LONGEST_PAUSE_SECONDS = 3600.0
"""The longest that failures hold a schedule off, its own pace apart."""
FAILURES = 5
"""A schedule is paused after so many failed runs in a row."""
QUIETEST_SECONDS = 86_400.0
"""An unread heartbeat comes at least this often, or at its own pace if that is slower."""

_WRONG_CLOCK_SECONDS = 25 * 3600.0
_DOUBLINGS = 30


def first(schedule: Schedule, now: float) -> Schedule:
    """The schedule with its first due time from now on; a moment that has passed is due at once."""
    if schedule.when.once:
        return msgspec.structs.replace(schedule, next=schedule.when.once, since=timestamp(now))
    fresh = msgspec.structs.replace(schedule, since=timestamp(now))
    return msgspec.structs.replace(fresh, next=_stamped(_natural(fresh, now)))


def following(schedule: Schedule, now: float) -> str:
    """The next due time, "" for none: later than now, and than every time that was had already.

    So a clock that is put back begins nothing twice. One that was days ahead is not believed.
    """
    after = now
    if schedule.fired and (fired := seconds_of(schedule.fired)) < now + _WRONG_CLOCK_SECONDS:
        after = max(now, fired)
    found = _natural(schedule, after)
    if found is None or not schedule.quiet:
        return _stamped(found)
    return _stamped(_natural(schedule, _quieted(schedule, found, after)))


def held_off(schedule: Schedule, now: float, least: float) -> str:
    """The next due time after a failure: none within a pause that doubles with each one."""
    pause = least * 2.0 ** min(schedule.failures - 1, _DOUBLINGS)
    return following(schedule, now + min(LONGEST_PAUSE_SECONDS, pause))


def at_own_pace(schedule: Schedule, now: float) -> Schedule:
    """A heartbeat that the operator has read or written to: not later than its own pace has it."""
    loud = msgspec.structs.replace(schedule, time=timestamp(now), quiet=0)
    soon = following(loud, now)
    if loud.next and soon and seconds_of(soon) < seconds_of(loud.next):
        return msgspec.structs.replace(loud, next=soon)
    return loud


def believed(schedule: Schedule, now: float) -> Schedule:
    """The schedule without a next time that a clock that was wrong has put far ahead."""
    if not schedule.next or schedule.when.once:
        return schedule
    far = seconds_of(schedule.next) - _WRONG_CLOCK_SECONDS
    natural = _natural(schedule, now)
    if natural is None or far <= natural or schedule.quiet:
        return schedule
    return msgspec.structs.replace(schedule, next=following(schedule, now))


def is_missed(schedule: Schedule, now: float) -> bool:
    """Whether its time passed while nobody could begin the run."""
    return now - seconds_of(schedule.next) > GRACE_SECONDS


def _quieted(schedule: Schedule, found: float, after: float) -> float:
    """The moment before which a heartbeat that nobody reads does not come again."""
    then = _natural(schedule, found)
    pace = then - found if then is not None else 0.0
    longest = max(pace, QUIETEST_SECONDS)
    gap = min(longest, pace * 2.0 ** min(schedule.quiet, _DOUBLINGS))
    # A little before, so that a time that is due just then is not passed over.
    return max(after, after + gap - pace / 2)


def _natural(schedule: Schedule, after: float) -> float | None:
    return next_after(schedule.when, seconds_of(schedule.since), after)


def _stamped(at: float | None) -> str:
    return timestamp(at) if at is not None else ""
