"""R15, the soak: a day's work of an operator again and again, and what the daemon takes for it.

    python -m tests.faults.soak [--minutes N] [--report FILE]

Each cycle creates a session, talks to it, delegates to it, reloads the configuration and removes
it. Exit 1 when memory, open files, threads or tasks grow.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults.night_samples import (
    Sample,
    curve,
    files_of,
    memory_of,
    slope,
    threads_of,
    warm,
)
from tests.faults.soak_day import day, day_config, fill, minds

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import write_config
from clawd.testing.model import ScriptedModel

PAUSE = 0.2
"""Seconds between two cycles: a soak is long, not heavy."""
TRACES = 10_500
"""More than the daemon remembers: each takes about 1 KB, and the newest 10,000 stay."""
TIDY = 25
"""Cycles after which the events that were heard are let go."""


async def soak(
    home: Path, seconds: float, told: Callable[[str], object] = str
) -> tuple[list[Sample], int]:
    """Cycles for so long; a sample after each, and how many there were.

    ``told`` is given a line now and then of how it goes.
    """
    samples: list[Sample] = []
    number = 0
    async with ScriptedModel(remember=False) as model:
        minds(model)
        write_config(home, day_config(model.url, 0, guest=False))
        async with RunningDaemon(home, fresh=True) as daemon:
            await fill(daemon, TRACES)
            daemon.events.clear()
            began = time.monotonic()
            while time.monotonic() < began + seconds:
                number += 1
                await day(daemon, model.url, number, reload=number % 5 == 0)
                if number % TIDY == 0:
                    daemon.events.clear()
                    done = (time.monotonic() - began) / 60
                    told(f"{done:.0f} of {seconds / 60:.0f} min: {number} cycles")
                asked = time.monotonic()
                status = await daemon.get("/api/status")
                samples.append(
                    Sample(
                        asked - began,
                        1,
                        memory_of(daemon.pid),
                        files_of(daemon.pid),
                        threads_of(daemon.pid),
                        status["resources"]["tasks"],
                        status["sessions"]["total"],
                        time.monotonic() - asked,
                    )
                )
                await asyncio.sleep(PAUSE)
    return samples, number


def report(samples: list[Sample], cycles: int) -> tuple[str, bool]:
    """The figures in Markdown, and whether nothing grew."""
    warmed = warm(samples)
    times = [s.seconds for s in warmed]
    lines = [
        f"# A soak of {samples[-1].seconds / 60:.0f} minutes, {cycles} cycles",
        "",
        "| of the daemon | least | most | an hour | |",
        "|---|---|---|---|---|",
    ]
    flat = True
    for name, values in (
        ("memory, MiB", [s.memory for s in warmed]),
        ("open files", [float(s.files) for s in warmed]),
        ("threads", [float(s.threads) for s in warmed]),
        ("asyncio tasks", [float(s.tasks) for s in warmed]),
    ):
        grows = slope(times, values)
        of_a_run = grows * (times[-1] - times[0]) / 3600
        ok = of_a_run <= max(2.0, 0.05 * max(values))
        flat &= ok
        lines.append(
            f"| {name} | {min(values):.1f} | {max(values):.1f} | {grows:+.1f} | "
            f"{'ok' if ok else '**grows**'} |"
        )
    drawn = curve([s.seconds for s in samples], [s.memory for s in samples])
    lines += ["", "Memory in MiB:", "", "```", drawn, "```", ""]
    return "\n".join(lines), flat


def main() -> int:
    """Run the soak and write its report."""
    parser = argparse.ArgumentParser(prog="scripts/faults soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--report", type=Path, help="a Markdown file; stdout without")
    options = parser.parse_args()
    told = partial(print, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="clawd-soak-") as folder:
        text, flat = report(*asyncio.run(soak(Path(folder), options.minutes * 60, told)))
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
