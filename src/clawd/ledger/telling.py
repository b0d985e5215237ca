"""Telling the operator of budgets: that one runs low, or is spent.

A call that is refused ends its turn, and the turn tells of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clawd.events import Event, Notice
from clawd.ledger.purse import Bound
from clawd.ledger.records import UsageRecord


class Telling:
    """The notices of the ledger."""

    def __init__(self, emit: Callable[[Event], object]) -> None:
        self._emit = emit

    def passed(
        self, session: str, trace: str, bounds: Sequence[Bound], before: Sequence[float]
    ) -> None:
        """A call was settled: each limit of which it passed 80 % or all is told of, once."""
        for bound, spent in zip(bounds, before, strict=True):
            mark = bound.passed(spent)
            if not mark:
                continue
            now_spent = bound.amount(bound.purse.spent(bound.unit))
            what = "the budget is spent" if mark == 1.0 else f"{bound.share:.0%} of the budget"
            follows = "; autonomous turns stop" if mark == 1.0 else ""
            text = f"{bound.scope}: {what}: {now_spent} of {bound.amount(bound.limit)}{follows}"
            code = "budget_spent" if mark == 1.0 else "budget_low"
            self._notice(session, trace, code, text)

    def cut_off(self, records: Sequence[UsageRecord]) -> None:
        """Calls that the daemon did not live to settle are spent in full."""
        tokens = sum(record.input_tokens + record.output_tokens for record in records)
        calls = "1 model call was" if len(records) == 1 else f"{len(records)} model calls were"
        text = f"{calls} cut off by the end of the daemon: counted in full, ~{tokens:,} tokens"
        self._notice("", "", "budget_cut_off", text)

    def _notice(self, session: str, trace: str, code: str, text: str) -> None:
        self._emit(Notice(session=session, trace=trace, code=code, text=text, level="warning"))
