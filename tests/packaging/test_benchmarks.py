"""The benchmarks run: as small as they can be, to see that nobody broke them; no time is judged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    "name",
    [
        "history",
        "sends",
        "log",
        "tools",
        "memory_search",
        "exec",
        "mcp_calls",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("turns", "start", "memory")),
    ],
)
def test_a_benchmark_prints_its_tables(tmp_path: Path, name: str) -> None:
    """Each prints Markdown, and its points make a picture."""
    points, picture = tmp_path / "points", tmp_path / "picture.svg"
    environment = {**os.environ, "BENCHMARK_TINY": "1", "BENCHMARK_POINTS": str(points)}
    environment.pop("BENCHMARK_PEERS", None)
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert "| --- | --- |" in done.stdout
    if points.exists():
        drawing = [sys.executable, str(BENCHMARKS / "picture.py"), str(points), str(picture)]
        subprocess.run(drawing, check=True, timeout=20)
        assert picture.read_text().startswith("<svg")
