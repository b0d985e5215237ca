"""The reckoning of a scripted night: each promise with its figure, and curves."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.night_house import BUDGETED, DAY_TOKENS, LOG_BYTES, LOG_KEEP, MAX_HOPS, MAX_PAIR
from tests.faults.night_ledger import Ledger, delivered_twice, unreadable
from tests.faults.night_models import Minds
from tests.faults.night_operator import Operator
from tests.faults.night_samples import (
    Sample,
    curve,
    longest_life,
    percentile,
    slope,
    warm,
)

JSON = dict[str, Any]

ANSWER_SECONDS = 1.0
_FATAL = re.compile(rb"internal_error|crashed:|was never retrieved|was destroyed|Traceback")


@dataclass
class Reckoning:
    """Everything that was seen, and what it means."""

    home: Path
    seconds: float
    ledger: Ledger
    samples: list[Sample]
    operator: Operator
    minds: Minds
    network: Counter[str]
    refused: list[str]
    restarts: Counter[str]
    downtimes: list[float]
    quiet: float
    stopped: float
    status: JSON

    def __post_init__(self) -> None:
        """Read the files while they are there."""
        self.rows: list[tuple[str, str, bool]] = []
        self.kept = True
        self._durability()
        self._guards()
        self._budgets()
        self._provider()
        self._machine()
        for broken in sorted(set(self.ledger.broken))[:20]:
            self._row("broken", broken, ok=False)

    def _row(self, what: str, figure: str, *, ok: bool) -> None:
        self.rows.append((what, figure, ok))
        self.kept &= ok

    def _list(self, what: str, of: str, bad: list[str]) -> None:
        shown = f": {', '.join(bad[:5])}" if bad else ""
        self._row(what, f"{len(bad)} of {of}{shown}", ok=not bad)

    def _durability(self) -> None:
        ledger = self.ledger
        self._list("acknowledged messages lost", str(len(ledger.messages)), ledger.lost())
        self._list(
            "acknowledged messages without an end", str(len(ledger.messages)), ledger.unsettled()
        )
        self._list(
            "delivered or sent twice", f"{len(ledger.states)} messages", delivered_twice(self.home)
        )
        self._list("lines that do not parse", "all *.jsonl", unreadable(self.home))
        self._list("acknowledged tasks without an end", str(len(ledger.tasks)), ledger.open_tasks())
        self._list("verdicts not told exactly once", str(len(ledger.ends)), ledger.untold())

    def _guards(self) -> None:
        over: list[str] = []
        stopped = 0
        for message, (ring, _) in self.operator.rings.items():
            trace = self.ledger.trace_of.get(message, "")
            pairs = self.ledger.traces.get(trace, Counter())
            if sum(pairs.values()) > MAX_HOPS + 1 or max(pairs.values(), default=0) > MAX_PAIR:
                over.append(f"{ring}: {dict(pairs)}")
            stopped += bool(self.ledger.refusals.get(trace))
        self._list("rings past a limit", str(len(self.operator.rings)), over)
        rings = len(self.operator.rings)
        self._row(
            "rings that a guard ended with a notice",
            f"{stopped} of {rings} (a kill in the middle of a tool call ends one as well)",
            ok=stopped >= 0.8 * rings,
        )

    def _budgets(self) -> None:
        own = self.minds.own[BUDGETED] * 110
        used = self.minds.calls[BUDGETED] * 110 - own
        if self.operator.enforces_budgets:
            figure = f"{used} tokens of {DAY_TOKENS} in a day, and {own} on the operator's word"
            self._row(f"the budget of {BUDGETED}", figure, ok=used <= DAY_TOKENS + 110)

    def _provider(self) -> None:
        self._row(
            "requests that a strict endpoint refused",
            f"{len(self.refused)} of {sum(self.minds.calls.values())} {self.refused[:2] or ''}",
            ok=not self.refused,
        )
        fatal = [
            f"{path.relative_to(self.home)}: {line[:300].decode(errors='replace')}"
            for path in [*self.home.glob("state/logs/*"), self.home / "daemon.err"]
            for line in path.read_bytes().split(b"\n")
            if _FATAL.search(line)
        ]
        self._list("crashes and lost exceptions", "the daemon's log", fatal)

    def _machine(self) -> None:
        answers = self.operator.answers
        slow = [f"{a:.2f} s" for a in answers if a > ANSWER_SECONDS]
        self._row(
            "the operator's lines answered",
            f"{len(answers)}: p50 {percentile(answers, 0.5) * 1000:.0f} ms, p99 "
            f"{percentile(answers, 0.99) * 1000:.0f} ms, longest "
            f"{max(answers, default=0) * 1000:.0f} ms; {len(slow)} took more than 1 s",
            ok=bool(answers) and not slow,
        )
        first = self.operator.first_answers
        self._row(
            "answered in the first seconds after a start",
            f"{len(first)}: p50 {percentile(first, 0.5) * 1000:.0f} ms, longest "
            f"{max(first, default=0) * 1000:.0f} ms",
            ok=max(first, default=0) < 5,
        )
        latencies = [s.latency for s in self.samples]
        self._row(
            "the daemon's status",
            f"p99 {percentile(latencies, 0.99) * 1000:.0f} ms, longest "
            f"{max(latencies, default=0) * 1000:.0f} ms",
            ok=max(latencies, default=0) < ANSWER_SECONDS,
        )
        self._growth()
        biggest = max(
            (
                sum(f.stat().st_size for f in folder.iterdir())
                for folder in self.home.glob("*/*logs")
            ),
            default=0,
        )
        for folder in self.home.glob("workspaces/*/logs"):
            biggest = max(biggest, sum(f.stat().st_size for f in folder.iterdir()))
        bound = (LOG_KEEP + 2) * LOG_BYTES
        self._row(
            "the largest log with its rotated files",
            f"{biggest / 1024**2:.1f} MiB, bound {bound / 1024**2:.0f}",
            ok=biggest <= bound,
        )

    def _growth(self) -> None:
        """What one process takes once it is warm.

        Memory is judged by its slope, what comes and goes by its peaks: caches of files are filled
        and emptied, and a slope through that is chance.
        """
        life = warm(longest_life(self.samples))
        times = [s.seconds for s in life]
        long_enough = bool(times) and times[-1] - times[0] > 600
        for name, unit, of in (
            ("memory", " MiB", [s.memory for s in life]),
            ("threads", "", [float(s.threads) for s in life]),
        ):
            mean = sum(of) / len(of) if of else 0.0
            grows = slope(times, of)
            self._row(
                name,
                f"mean {mean:.1f}, least {min(of, default=0):.1f}, most {max(of, default=0):.1f}"
                f"{unit}; slope {grows:+.1f} an hour",
                ok=not long_enough or grows <= max(0.05 * mean, 2),
            )
        third = len(life) // 3
        for name, counts in (
            ("open files", [s.files for s in life]),
            ("asyncio tasks", [s.tasks for s in life]),
        ):
            first = max(counts[:third], default=0)
            last = max(counts[len(counts) - third :], default=0)
            self._row(
                name,
                f"{min(counts, default=0)} to {max(counts, default=0)}; at most {first} in the "
                f"first third, {last} in the last",
                ok=not long_enough or last <= 1.05 * first + 2,
            )

    def text(self) -> str:
        """The report in Markdown."""
        life = longest_life(self.samples)
        times = [s.seconds - life[0].seconds for s in life] if life else []
        did = self.operator.did
        lines = [
            f"# A scripted night of {self.seconds / 60:.0f} minutes",
            "",
            f"Fifty sessions; {sum(self.minds.calls.values())} model calls, "
            f"{len(self.ledger.states)} messages, {len(self.ledger.ends)} tasks, "
            f"{len(self.ledger.prompts)} lines of the operator; "
            f"{self.restarts['kill -9']} kills, {self.restarts['SIGTERM']} orderly restarts "
            f"(ready again in {percentile(self.downtimes, 0.5):.2f} s, at most "
            f"{max(self.downtimes, default=0):.2f} s), {did['reload']} reloads, "
            f"{sum(self.minds.met.values())} faults of the provider of {len(self.minds.met)} "
            f"kinds, {sum(n for k, n in self.network.items() if k != 'pass')} of the network. "
            f"Quiet {self.quiet:.0f} s after the last; stopped in {self.stopped:.1f} s.",
            "",
            "| promise | figure | |",
            "|---|---|---|",
            *(
                f"| {what} | {figure} | {'ok' if ok else '**no**'} |"
                for what, figure, ok in self.rows
            ),
            "",
            f"The longest life of one process, {len(life)} samples. Memory in MiB:",
            "",
            "```",
            curve(times, [s.memory for s in life]),
            "```",
            "",
            "Open file descriptors:",
            "",
            "```",
            curve(times, [float(s.files) for s in life], height=6),
            "```",
            "",
            "What the operator did: " + ", ".join(f"{k} {n}" for k, n in sorted(did.items())) + ".",
            "",
            "The provider's faults: "
            + ", ".join(f"{k} {n}" for k, n in sorted(self.minds.met.items()))
            + ".",
            "",
            "The network's: "
            + ", ".join(f"{k} {n}" for k, n in sorted(self.network.items()))
            + ".",
            "",
            "Guards that refused: "
            + ", ".join(
                f"{k} in {n} traces"
                for k, n in sorted(
                    Counter(c for codes in self.ledger.refusals.values() for c in codes).items()
                )
            )
            + ".",
            "",
        ]
        return "\n".join(lines)
