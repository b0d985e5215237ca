"""What a process takes of its machine, over time: samples, slopes, a curve for people to see."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One look at the daemon; ``life`` counts its starts, ``seconds`` are since the first."""

    seconds: float
    life: int
    memory: float
    """Resident, in MiB."""
    files: int
    threads: int
    tasks: int
    sessions: int
    latency: float
    """Seconds that its status took to come."""


def memory_of(pid: int) -> float:
    """Resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def files_of(pid: int) -> int:
    """Open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads_of(pid: int) -> int:
    """Threads of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))


def longest_life(samples: list[Sample]) -> list[Sample]:
    """The samples of the life that lasted longest."""
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.life, []).append(sample)
    return max(lives.values(), key=len, default=[])


def warm(samples: list[Sample], share: float = 0.3) -> list[Sample]:
    """What is left when the first part is taken for warming up."""
    return samples[int(len(samples) * share) :]


def slope(times: list[float], values: list[float]) -> float:
    """How much a value grows in an hour: least squares, which noise does not fool."""
    if len(times) < 3 or len(set(times)) < 2:
        return 0.0
    return statistics.linear_regression(times, values).slope * 3600


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def curve(times: list[float], values: list[float], *, width: int = 72, height: int = 10) -> str:
    """A picture in plain characters: the mean of each column, the axis from zero."""
    if not times:
        return "(no samples)"
    first, last = times[0], max(times[-1], times[0] + 1)
    columns: list[list[float]] = [[] for _ in range(width)]
    for at, value in zip(times, values, strict=True):
        columns[min(width - 1, int((at - first) / (last - first) * width))].append(value)
    means = [statistics.fmean(column) if column else None for column in columns]
    top = max(values) * 1.1 or 1.0
    rows = []
    for row in range(height, 0, -1):
        line = "".join("*" if m is not None and m / top * height > row - 1 else " " for m in means)
        label = f"{top * row / height:8.1f}" if row in (height, height // 2, 1) else " " * 8
        rows.append(f"{label} |{line.rstrip()}")
    end = f"{(last - first) / 60:.0f} min"
    return "\n".join([*rows, f"{'0':>8} +{'-' * width}", f"{'':9}0{end:>{width}}"])
