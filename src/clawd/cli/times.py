"""Times and amounts as a human reads them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def duration(seconds: float) -> str:
    """A length of time in its two largest units, as in ``3h12m``, ``15m``, ``8s``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes}m"
    if hours < 24:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{days}d{hours % 24:02d}h"


def span(seconds: float) -> str:
    """A length of time as short as it can be told, as in ``3.2s``, ``45s``, ``3h12m``."""
    return f"{seconds:.1f}s" if seconds < 9.95 else duration(seconds)


def age(timestamp: str | None, now: float | None = None) -> str:
    """How long ago an ISO 8601 time was, as in ``3m``; "" for none, the text itself if not one."""
    if not timestamp:
        return ""
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return timestamp
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return duration(max((time.time() if now is None else now) - moment.timestamp(), 0))


def clock(timestamp: str | None) -> str:
    """The local time of day of an ISO 8601 time, with the date when it is another day's."""
    if not timestamp:
        return ""
    try:
        moment = datetime.fromisoformat(timestamp).astimezone()
    except ValueError:
        return timestamp
    today = datetime.now().astimezone().date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M")


def count(number: float) -> str:
    """A number of tokens in three or four characters, as in ``812``, ``12.4k``, ``1.2M``."""
    for limit, divisor, unit in ((1_000, 1, ""), (1_000_000, 1_000, "k"), (1e12, 1e6, "M")):
        if number < limit:
            text = f"{number / divisor:.1f}" if unit and number / divisor < 100 else ""
            return (text.removesuffix(".0") or f"{number / divisor:.0f}") + unit
    return f"{number:.0f}"


def about(usage: Mapping[str, Any] | None) -> str:
    """The mark of an estimate, to stand before a number of tokens; "" where all is reported."""
    return "~" if (usage or {}).get("estimated") else ""


def money(amount: float | None) -> str:
    """An amount of USD, as in ``$0.06``; "" for nothing or unknown."""
    if not amount:
        return ""
    return f"${amount:.2f}" if amount >= 0.01 else f"${amount:.4f}"


def spent(usage: Mapping[str, Any] | None) -> str:
    """What a usage cost, as in ``$0.06``, or ``~$0.06`` where some of it is estimated."""
    text = money((usage or {}).get("cost"))
    return about(usage) + text if text else ""
