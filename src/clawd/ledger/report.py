"""What was used, summed up along one axis, and how the limits stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta

from clawd.errors import Invalid
from clawd.ledger.bounds import key_of
from clawd.ledger.ledger import Ledger
from clawd.ledger.purse import WARN_AT, Bound
from clawd.ledger.records import UsageRecord
from clawd.ledger.totals import Sum
from clawd.messages import JSON

AXES = ("day", "session", "model", "trace")
_DIGITS = 9
_NEAR = 5
"""How many traces near their limit are named."""


def first_day(since: str | None, today: str) -> str:
    """The first day that ``since`` (a day, or ``7d`` for the last seven) means; "" for all."""
    if since is None:
        return ""
    try:
        if since.endswith("d") and since[:-1].isdecimal():
            back = timedelta(days=max(int(since[:-1]) - 1, 0))
            return (date.fromisoformat(today) - back).isoformat()
        return date.fromisoformat(since).isoformat()
    except (ValueError, OverflowError):
        raise Invalid(
            "invalid_query",
            f"since must be a day, not {since[:40]!a}",
            hint="such as 2026-11-21, or 7d for the last seven",
        ) from None


def summed(records: Iterable[UsageRecord], by: str, since: str) -> tuple[list[JSON], JSON]:
    """The sums by ``by`` (one of ``AXES``), and the sum of all; from day ``since`` on.

    Days and traces by their time, the rest by what it used most.
    """
    sums: dict[tuple[str, str], Sum] = {}
    whose: dict[tuple[str, str], UsageRecord] = {}
    total = Sum()
    for record in records:
        if record.day < since:
            continue
        key = _key(record, by)
        sums.setdefault(key, Sum()).add(record)
        whose.setdefault(key, record)
        total.add(record)
    items = [_item(by, key, sums[key], whose[key]) for key in sums]
    if by in ("day", "trace"):
        items.sort(key=lambda item: (item["day"], item[by]))
    else:
        items.sort(key=lambda item: -(item["inputTokens"] + item["outputTokens"]))
    return items, shown(total)


def shown(total: Sum) -> JSON:
    """A sum as programs read it; ``cost`` is null where no call had a price."""
    return {
        "calls": total.calls,
        "inputTokens": total.input_tokens,
        "outputTokens": total.output_tokens,
        "cachedTokens": total.cached_tokens,
        "cost": None if total.cost is None else round(total.cost, _DIGITS),
        "estimatedTokens": total.estimated_tokens,
        "estimatedCost": round(total.estimated_cost, _DIGITS),
        "unpricedTokens": total.unpriced_tokens,
    }


def standing(ledger: Ledger, sessions: Iterable[str]) -> list[JSON]:
    """The limits of the day that are in force, the daemon's first; then traces near theirs."""
    found: dict[tuple[str, str], Bound] = {}
    for session in ("", *sessions):
        for bound in ledger.day_bounds(session):
            found.setdefault((bound.scope, bound.name), bound)
    day = sorted(found.values(), key=lambda bound: bound.purse is not ledger.totals.daemon)
    near = [bound for bound in ledger.trace_bounds() if bound.share >= WARN_AT][-_NEAR:]
    return [_limit(bound) for bound in (*day, *near)]


def _limit(bound: Bound) -> JSON:
    digits = None if bound.unit == "tokens" else _DIGITS
    spent, used = bound.purse.spent(bound.unit), bound.purse.used(bound.unit)
    return {
        "scope": bound.scope,
        "key": key_of(bound.name),
        "unit": bound.unit,
        "limit": bound.limit,
        "spent": round(spent, digits),
        "held": round(max(0.0, used - spent), digits),
        "share": round(bound.share, 4),
        "near": bound.share >= WARN_AT,
    }


_KEYS: dict[str, Callable[[UsageRecord], tuple[str, str]]] = {
    "day": lambda record: (record.day, ""),
    "session": lambda record: (record.session, ""),
    "model": lambda record: (record.model, record.template),
    "trace": lambda record: (record.trace, ""),
}


def _key(record: UsageRecord, by: str) -> tuple[str, str]:
    return _KEYS[by](record)


def _item(by: str, key: tuple[str, str], total: Sum, first: UsageRecord) -> JSON:
    named: JSON = {by: key[0]}
    if by == "model":
        named["template"] = key[1]
    if by == "trace":
        named |= {"day": first.day, "session": first.session}
    return named | shown(total)
