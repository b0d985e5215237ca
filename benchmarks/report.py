"""What all benchmarks print: Markdown tables, medians, and the machine in general words."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    """The median over the rounds of ours in proportion to the floor of the same round."""
    return statistics.median(a / b for a, b in zip(ours, floor, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all lies below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def processors() -> str:
    """How many processors, and which Python."""
    return f"{os.cpu_count()} processors, Python {platform.python_version()}"
