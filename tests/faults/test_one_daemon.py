"""R05: one daemon a home, whatever became of the one before."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.ledger import Figures

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_one_daemon_whatever_became_of_the_one_before(
    tmp_path: Path, length: Callable[[int], int], figures: Figures
) -> None:
    """R05: a second is refused within 1 s with pid and path; a dead one is in nobody's way."""
    write_config(tmp_path, scripted("http://127.0.0.1:9/v1", "a"))
    lock = tmp_path / "state/lock"
    times = length(20)
    took: list[float] = []
    for turn in range(times):
        if turn % 4 == 1:
            lock.write_text("1\n", encoding="ascii")  # a pid that lives, and is another's
        elif turn % 4 == 2:
            lock.write_bytes(b"\xff not a pid")
        elif turn % 4 == 3:
            lock.unlink()
        daemon = RunningDaemon(tmp_path, fresh=True)
        await daemon.start()
        began = time.monotonic()
        status, said = await second(tmp_path)
        took.append(time.monotonic() - began)
        assert status == 1
        assert f"pid {daemon.pid} " in said
        assert str(lock) in said
        assert (await daemon.get("/api/status"))["pid"] == daemon.pid
        await daemon.kill()
    figures(
        refused=f"{times} of {times}",
        median=f"{statistics.median(took):.2f} s",
        slowest=f"{max(took):.2f} s",
    )
    # Nearly all of it is Python that starts: a neighbour may make a few of them late.
    assert statistics.median(took) < 1


async def second(home: Path) -> tuple[int | None, str]:
    """Start another daemon on the same home; its exit status and its words."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clawd", "daemon", "run", "--home", str(home)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()
