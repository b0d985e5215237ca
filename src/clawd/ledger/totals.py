"""What was used, in memory: by session, by open task, by trace, and of the present day."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from clawd.ledger.purse import Purse
from clawd.ledger.records import UsageRecord
from clawd.messages import Usage

KEPT = 20_000
"""How many traces and how many tasks are at hand; those that moved last."""


@dataclass(slots=True)
class Sum:
    """Calls, what they used, and how much of that is only estimated or has no price."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    estimated_tokens: int = 0
    estimated_cost: float = 0.0
    unpriced_tokens: int = 0

    def add(self, record: UsageRecord) -> None:
        """Count one line."""
        tokens = record.input_tokens + record.output_tokens
        self.calls += record.calls
        self.input_tokens += record.input_tokens
        self.output_tokens += record.output_tokens
        self.cached_tokens += record.cached_tokens
        if record.cost is None:
            self.unpriced_tokens += tokens
        else:
            self.cost = (self.cost or 0.0) + record.cost
        if record.estimated:
            self.estimated_tokens += tokens
            self.estimated_cost += record.cost or 0.0

    @property
    def tokens(self) -> int:
        """Of input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def usage(self) -> Usage:
        """The counts as a turn has them."""
        return Usage(
            self.input_tokens,
            self.output_tokens,
            self.cached_tokens,
            self.cost,
            self.estimated_tokens > 0,
        )


class Totals:
    """The fold over the lines of the ledger."""

    def __init__(self, today: Callable[[], str]) -> None:
        self._today = today
        self.day = ""
        self.daemon = Purse()
        self.daemon_sum = Sum()
        self._payers: dict[str, Purse] = {}
        self._sessions: dict[str, Sum] = {}
        self._tasks: OrderedDict[str, Sum] = OrderedDict()
        self._traces: OrderedDict[str, Purse] = OrderedDict()
        self._oldest = ""

    def purses(self, trace: str, payer: str) -> tuple[Purse, Purse, Purse]:
        """Of the trace, of the payer's day, of the daemon's day."""
        self._turn_day()
        day = self._payers.get(payer)
        if day is None:
            day = self._payers[payer] = Purse()
        return self._trace(trace), day, self.daemon

    def add(self, record: UsageRecord) -> None:
        """Count a line that was read from the file, whether it is settled or not."""
        self._turn_day()
        trace, day, daemon = self._trace(record.trace), None, None
        trace.spend(record.usage)
        if record.day == self.day:
            _, day, daemon = self.purses("", record.payer)
            day.spend(record.usage)
            daemon.spend(record.usage)
        self.count(record)

    def count(self, record: UsageRecord) -> None:
        """Count a line in the sums that no limit looks at."""
        if record.day == self.day:
            self.daemon_sum.add(record)
        self._sessions.setdefault(record.session, Sum()).add(record)
        if record.task:
            self._tasks.setdefault(record.task, Sum()).add(record)
            self._tasks.move_to_end(record.task)
            if len(self._tasks) > KEPT:
                self._tasks.popitem(last=False)

    def session(self, session: str) -> Usage:
        """All that a session has used."""
        found = self._sessions.get(session)
        return found.usage if found is not None else Usage()

    def task(self, task: str) -> Usage | None:
        """What the turns of a task have used; ``None`` when that is not at hand."""
        found = self._tasks.get(task)
        return found.usage if found is not None else None

    def trace(self, trace: str) -> Purse | None:
        """What a trace has spent, if it is at hand."""
        return self._traces.get(trace)

    def traces(self) -> Iterable[tuple[str, Purse]]:
        """The traces at hand, the latest last."""
        return self._traces.items()

    def payers(self) -> Iterable[str]:
        """The sessions whose purses have paid today."""
        self._turn_day()
        return self._payers.keys()

    def let_go(self, trace: str) -> bool:
        """Whether the trace may be one whose sum is no longer at hand."""
        return bool(trace) and trace not in self._traces and _age(trace) <= self._oldest

    def recall(self, trace: str, records: Iterable[UsageRecord]) -> None:
        """Take up a trace again that was let go."""
        purse = Purse()
        for record in records:
            purse.spend(record.usage)
        self._keep(trace, purse)

    def _trace(self, trace: str) -> Purse:
        if not trace:
            return Purse()
        purse = self._traces.get(trace)
        if purse is None:
            purse = Purse()
            if not self.let_go(trace):
                self._keep(trace, purse)
        else:
            self._traces.move_to_end(trace)
        return purse

    def _keep(self, trace: str, purse: Purse) -> None:
        self._traces[trace] = purse
        if len(self._traces) > KEPT:
            for old in [t for t, p in self._traces.items() if not p.calls][: KEPT // 10]:
                del self._traces[old]
                self._oldest = max(self._oldest, _age(old))

    def _turn_day(self) -> None:
        today = self._today()
        if today != self.day:
            # Calls of yesterday that still run settle in the purses that they hold.
            self.day = today
            self.daemon, self.daemon_sum, self._payers = Purse(), Sum(), {}


def _age(trace: str) -> str:
    """Ids sort by time behind their kind."""
    return trace.partition("-")[2] or trace
