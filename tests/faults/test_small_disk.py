"""R03, F5: a disk that fills up under load, and has room again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.ledger import Aftermath, Figures
from tests.faults.test_kill_loop import report, settled
from tests.faults.workload import Workload

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.model import ScriptedModel

KILOBYTES = 16 * 1024
ROUNDS = 3
REFUSALS = 20
BACK_SECONDS = 5.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB, nearly all of which is taken."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={KILOBYTES}k", "none", str(folder)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_a_disk_that_fills_up_under_load(
    small_disk: Path, model: ScriptedModel, seed: int, figures: Figures
) -> None:
    """R03: nothing is acknowledged that is not stored; 5 s after space returns all goes on."""
    work = Workload(seed, model)
    work.prepare(small_disk, log={"maxBytes": 4096, "keep": 0})
    ballast = small_disk / "ballast"
    slowest = 0.0
    async with RunningDaemon(small_disk, heard=lambda _: None, fresh=True) as daemon:
        for number in range(ROUNDS):
            fill(ballast, leave=256_000 - 64_000 * number)
            enough = work.ledger.refused["storage_full"] + REFUSALS
            async with asyncio.TaskGroup() as group:
                working = group.create_task(work.until(daemon, 10**6))
                async with asyncio.timeout(60):
                    while work.ledger.refused["storage_full"] < enough:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                working.cancel()
            ballast.unlink()
            slowest = max(slowest, await seconds_until_served(daemon, number))
        await settled(daemon)
    after = Aftermath(small_disk)
    report(
        f"seed {seed}, {small_disk}",
        {
            "lines that do not parse": after.broken,
            "promised and not there": after.missing(work.ledger),
            "come twice": after.doubled(),
            "never delivered": after.undelivered(work.ledger),
            "tasks without exactly one verdict": after.unsettled(),
            "sessions by halves": after.halves(work.ledger),
        },
    )
    full = work.ledger.refused["storage_full"]
    figures(**work.ledger.figures(), refused=full, back_within=f"{slowest:.2f} s")


def fill(ballast: Path, *, leave: int) -> None:
    """Leave so few bytes of the disk."""
    state = os.statvfs(ballast.parent)
    size = max(0, state.f_bavail * state.f_frsize - leave)
    with contextlib.suppress(OSError):
        ballast.write_bytes(b"x" * size)


async def seconds_until_served(daemon: RunningDaemon, number: int) -> float:
    """How long it takes from the moment that space returned until a session is served."""
    began = time.monotonic()
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            with contextlib.suppress(ApiError):
                await daemon.post("/api/messages", to="s0", content=f"round {number}")
                return time.monotonic() - began
            await asyncio.sleep(0.05)
