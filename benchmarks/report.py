"""What all benchmarks print: Markdown tables, medians, and the machine in general words.

``BENCHMARK_TINY=1`` makes them as small as they can be, to see that they run; ``BENCHMARK_PEERS``
names the Python of an environment that has the peers; ``BENCHMARK_POINTS`` a file that gathers the
points of the picture (``picture.py``).
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TINY = bool(os.environ.get("BENCHMARK_TINY"))
ABSENT = "not measured: `scripts/benchmark --peers` installs it"


def size(full: int, tiny: int) -> int:
    """How many of something: ``tiny`` when it is only to be seen that a benchmark runs."""
    return tiny if TINY else full


@contextmanager
def endpoint() -> Iterator[str]:
    """The model server in a process of its own; its base URL."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "endpoint.py")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def peers(*arguments: str) -> Any:
    """What ``peers.py`` measures, in the environment that has them; ``None`` without one."""
    python = os.environ.get("BENCHMARK_PEERS", "")
    if not python:
        return None
    command = [python, str(HERE / "peers.py"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        print(f"\n{arguments[0]} of the peers failed: {done.stderr[-400:]}\n", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def point(panel: str, series: str, x: float, y: float) -> None:
    """One point of the picture."""
    path = os.environ.get("BENCHMARK_POINTS", "")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps([panel, series, x, y]) + "\n")


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
