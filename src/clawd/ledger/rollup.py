"""Making many lines of the ledger one, so that its file grows with days and not with calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import msgspec

from clawd.ids import new_id
from clawd.ledger.records import UsageRecord

WORTH = 1000
"""The file is not rewritten for fewer lines that could be summed up."""
_MOST_PASSED = 63
"""How many sweeps are passed over at most before what was refused is tried again."""


class Waiting:
    """The lines of earlier days that wait to be summed up, until that is done."""

    def __init__(self, day: str = "", lines: int = 0) -> None:
        self._day = day
        self._lines = lines
        self._pause = self._rest = 0

    def due(self, today: str, lines: int) -> bool:
        """Asked at each sweep, with how many lines the file has: whether it is time."""
        if today != self._day:
            self._day, self._lines = today, self._lines + lines
        if self._rest:
            self._rest -= 1
            return False
        return self._lines > 0

    def refused(self) -> None:
        """It was tried in vain: each time more sweeps are passed over, for it reads the file."""
        self._pause = self._rest = min(2 * self._pause + 1, _MOST_PASSED)

    def done(self) -> None:
        """All of them are summed up."""
        self._lines = self._pause = 0


def rolled_up(
    records: Iterable[UsageRecord], today: str, keep_days: float
) -> Iterator[UsageRecord]:
    """Today's lines and open reservations as they are; of each earlier day sums.

    These are one line for each session, model, role, task and trace, and of days older than
    ``keep_days`` one for each session, model and role.
    """
    horizon = _horizon(today, keep_days)
    sums: dict[tuple[object, ...], UsageRecord] = {}
    for record in records:
        if record.day >= today or record.state == "reserved":
            yield record
            continue
        if not (record.calls or record.input_tokens or record.output_tokens):
            continue  # a call that was never made
        old = record.day < horizon
        trace, task = ("", "") if old else (record.trace, record.task)
        # What is estimated, and what has no price, never gets lost in the rest.
        key = (
            record.day, record.session, record.payer, record.template, record.model, record.role,
            trace, task, record.estimated, record.cost is None,
        )  # fmt: skip
        known = sums.get(key)
        if known is None:
            sums[key] = msgspec.structs.replace(
                record, id=new_id("use"), trace=trace, task=task, turn=""
            )
        else:
            sums[key] = _together(known, record)
    yield from sums.values()


def due(records: Iterable[UsageRecord], today: str, keep_days: float) -> int:
    """How many lines there are to sum up; 0 when it is not worth it."""
    horizon = _horizon(today, keep_days)
    count = sum(
        record.day < today and (bool(record.turn) or (bool(record.trace) and record.day < horizon))
        for record in records
    )
    return count if count >= WORTH else 0


def _together(one: UsageRecord, other: UsageRecord) -> UsageRecord:
    cost = None if one.cost is None else one.cost + (other.cost or 0.0)
    return msgspec.structs.replace(
        one,
        time=max(one.time, other.time),
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        cost=cost,
        calls=one.calls + other.calls,
    )


def _horizon(today: str, keep_days: float) -> str:
    try:
        return (date.fromisoformat(today) - timedelta(days=keep_days)).isoformat()
    except OverflowError:
        return ""
