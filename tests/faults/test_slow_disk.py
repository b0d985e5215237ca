"""R03, F8: a disk that takes a second for each sync holds up nobody but who needs it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.ledger import Figures
from tests.faults.shim import Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, say

SECONDS = 2.5


async def test_a_slow_disk_does_not_hold_up_the_loop(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], figures: Figures
) -> None:
    """R03: while syncs take a second, questions are answered at once, sends and chat in the end."""
    write_config(tmp_path, scripted(model.url, "a", "b"))
    model.rule("a", lambda _: say("an answer"))
    slow = shim(tmp_path)
    async with RunningDaemon(tmp_path, environ=slow.environ) as daemon:
        await daemon.get("/api/status")
        slow.control["delay"] = 1_000_000
        lags: list[float] = []
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            said = group.create_task(daemon.say("a", "hello"))
            sent = [
                group.create_task(daemon.post("/api/messages", to="b", content=f"note {n}"))
                for n in range(20)
            ]
            while time.monotonic() - began < SECONDS:
                asked = time.monotonic()
                await daemon.get("/api/status")
                lags.append(time.monotonic() - asked)
                await asyncio.sleep(0.01)
            slow.control.rest()
        assert said.result() == "an answer"
        assert all(task.result()["id"] for task in sent)
    figures(
        asked=len(lags),
        median=f"{1000 * statistics.median(lags):.1f} ms",
        slowest=f"{1000 * max(lags):.0f} ms",
    )
    assert statistics.median(lags) < 0.05
    assert max(lags) < 0.9, "an answer waited for a sync"
