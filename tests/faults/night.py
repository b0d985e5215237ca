"""The scripted night: fifty sessions, an hour of everything that goes wrong, and a reckoning.

    python -m tests.faults.night [--minutes N] [--report FILE] [--seed N] [--home FOLDER]

In the first half the daemon is killed and restarted again and again; in the second it runs on, so
that what it takes of its machine can be watched. Everything else goes wrong in both. Exit 1 when a
promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.night_house import ALL, SINK, house
from tests.faults.night_ledger import Ledger
from tests.faults.night_models import Minds
from tests.faults.night_operator import GONE, Operator
from tests.faults.night_report import Reckoning
from tests.faults.night_samples import Sample, files_of, memory_of, threads_of

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import write_config
from clawd.testing.model import ScriptedModel
from clawd.testing.proxy import FaultProxy

JSON = dict[str, Any]

QUIET_SECONDS = 240.0
"""How long the sessions get to finish what is open when nothing goes wrong any more."""

TRACES = 10_500
"""More than the daemon remembers: what grows after that is more than it should."""
FILL_FROM = 180.0
"""Seconds from which a night is long enough to have its memory watched."""
NOT_WOKEN = (SINK, "operator")
"""Those who read their mail by themselves."""


class Night:
    """One run; all its times in seconds."""

    def __init__(
        self, home: Path, seconds: float, seed: int, told: Callable[[str], object] = str
    ) -> None:
        """``told`` is given a line a minute of how it goes."""
        self._told = told
        self.home = home
        self.seconds = seconds
        self.chance = random.Random(seed)
        self.ledger = Ledger()
        self.samples: list[Sample] = []
        self.restarts: Counter[str] = Counter()
        self.downtimes: list[float] = []
        self.lives = 0
        self._minute = 0
        self.began = time.monotonic()
        self.operator: Operator | None = None

    async def run(self) -> Reckoning:
        """The whole night."""
        async with AsyncExitStack() as stack:
            model = await stack.enter_async_context(ScriptedModel(remember=False))
            proxy = await stack.enter_async_context(FaultProxy(model.port))
            minds = Minds(model, self.ledger, self.chance)
            proxy.choose = minds.network
            write_config(self.home, house(model.url, proxy.url))
            daemon = RunningDaemon(self.home, heard=self._heard, fresh=True)
            self.operator = operator = Operator(
                daemon, self.ledger, minds, self.chance, (model.url, proxy.url)
            )
            await self._start(daemon, operator)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(operator.chat(1.5)),
                    group.create_task(operator.work(0.5)),
                    group.create_task(operator.work(0.5)),
                    group.create_task(operator.edit(min(15.0, self.seconds / 6))),
                    group.create_task(operator.tidy(min(20.0, self.seconds / 4))),
                    group.create_task(self._watch(daemon, operator)),
                ]
                await self._plug(daemon, operator)
                minds.calm = True
                for task in tasks:
                    task.cancel()
            quiet = await self._quiet(daemon, operator)
            last = await daemon.get("/api/status")
            began = time.monotonic()
            code = await daemon.stop()
            if code:
                self.ledger.broken.append(f"the daemon ended with {code}")
            self.ledger.audit(self.home)
            return Reckoning(
                self.home,
                self.seconds,
                self.ledger,
                self.samples,
                operator,
                minds,
                proxy.done,
                [r.refused for r in model.requests],
                self.restarts,
                self.downtimes,
                quiet,
                time.monotonic() - began,
                last,
            )

    def _heard(self, event: JSON) -> None:
        if self.operator is not None:
            self.operator.heard(event)

    async def _start(self, daemon: RunningDaemon, operator: Operator) -> None:
        began = time.monotonic()
        await daemon.start()
        self.lives += 1
        if self.lives > 1:
            self.downtimes.append(time.monotonic() - began)
        operator.started = time.monotonic()
        operator.up.set()

    async def _plug(self, daemon: RunningDaemon, operator: Operator) -> None:
        """Kill and restart in the first half; wait through the second."""
        half = self.began + self.seconds / 2
        while True:
            pause = self.chance.uniform(0.5, 1.5) * min(40.0, self.seconds / 8)
            if time.monotonic() + pause > half:
                break
            await asyncio.sleep(pause)
            operator.up.clear()
            if self.chance.random() < 0.75:
                self.restarts["kill -9"] += 1
                await daemon.kill()
            else:
                self.restarts["SIGTERM"] += 1
                began = time.monotonic()
                code = await daemon.stop()
                if code or time.monotonic() - began > 10:
                    self.ledger.broken.append(f"SIGTERM: exit {code} after 10 s or more")
            await self._start(daemon, operator)
        if self.seconds >= FILL_FROM:
            await operator.fill(TRACES)
        await asyncio.sleep(max(0.0, self.began + self.seconds - time.monotonic()))

    async def _watch(self, daemon: RunningDaemon, operator: Operator) -> None:
        every = min(5.0, self.seconds / 60)
        while True:
            await asyncio.sleep(every)
            await operator.up.wait()
            life, pid, began = self.lives, daemon.pid, time.monotonic()
            try:
                status = await daemon.get("/api/status")
                sample = Sample(
                    time.monotonic() - self.began,
                    life,
                    memory_of(pid),
                    files_of(pid),
                    threads_of(pid),
                    status["resources"]["tasks"],
                    status["sessions"]["total"],
                    time.monotonic() - began,
                )
            except (*GONE, KeyError):
                continue
            if life == self.lives and operator.up.is_set():
                self.samples.append(sample)
                self._tell(sample)

    def _tell(self, sample: Sample) -> None:
        minute = int(sample.seconds / 60)
        if minute == self._minute:
            return
        self._minute = minute
        self._told(
            f"{minute} of {self.seconds / 60:.0f} min: {len(self.ledger.messages):,} messages and "
            f"{len(self.ledger.tasks):,} tasks acknowledged, {self.lives} lives, "
            f"{sample.memory:.0f} MiB, {len(self.ledger.broken)} promises broken"
        )

    async def _quiet(self, daemon: RunningDaemon, operator: Operator) -> float:
        """Let everything that is open come to its end; how long it took."""
        began = time.monotonic()
        operator.enforces_budgets = (await daemon.raw("GET", "/api/usage")).status_code == 200
        for session in ALL:
            # A kill may have come between a pause and its end.
            await daemon.raw("POST", "/api/resume", json={"session": session})
        write_config(self.home, operator.config(guest=False))
        while still := await self._still_open(daemon):
            if time.monotonic() > began + QUIET_SECONDS:
                self.ledger.broken.append(f"not quiet after {QUIET_SECONDS:.0f} s: {still}")
                break
            await asyncio.sleep(1)
        return time.monotonic() - began

    async def _still_open(self, daemon: RunningDaemon) -> str:
        """What has not come to its end, in words; "" when everything has."""
        for owner in NOT_WOKEN:
            await daemon.post("/api/messages/read", session=owner)
        sessions = (await daemon.get("/api/sessions"))["items"]
        busy = [s["id"] for s in sessions if s["status"] == "busy" or s["queue"]]
        tasks = (await daemon.get("/api/status"))["openTasks"]
        unread = await daemon.get("/api/messages", session="*", unread=1, limit=100_000)
        waiting = [
            (m["id"], m["to"], m["state"])
            for m in unread["items"]
            if m["to"] not in NOT_WOKEN and m.get("type") != "receipt"
        ]
        if not (busy or tasks or waiting):
            return ""
        return f"busy {busy}, {tasks} tasks, {len(waiting)} messages {waiting[:5]}"


def main() -> int:
    """Run the night and write its report."""
    parser = argparse.ArgumentParser(prog="scripts/faults night", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--report", type=Path, help="a Markdown file; stdout without")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep the home here")
    options = parser.parse_args()
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    with tempfile.TemporaryDirectory(prefix="clawd-night-", ignore_cleanup_errors=True) as folder:
        home = options.home or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        told = partial(print, file=sys.stderr, flush=True)
        night = Night(home, options.minutes * 60, options.seed, told)
        reckoning = asyncio.run(night.run())
        text = reckoning.text()
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if reckoning.kept else 1


if __name__ == "__main__":
    sys.exit(main())
