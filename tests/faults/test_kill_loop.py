"""R01, M20: ``kill -9`` at random moments while everybody works: what was promised is there."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ledger import Aftermath, Figures, Ledger
from tests.faults.workload import Workload

from clawd.testing.daemon import RunningDaemon
from clawd.testing.model import ScriptedModel

STUCK_SECONDS = 60


@pytest.mark.timeout(90)
async def test_a_few_kills_lose_nothing(
    tmp_path: Path, model: ScriptedModel, seed: int, figures: Figures
) -> None:
    """R01, short: eight kills under load; nothing acknowledged is lost, nothing comes twice."""
    await kill_loop(tmp_path, model, seed, figures, kills=8, sends=100)


@pytest.mark.faults
@pytest.mark.timeout(3600)
async def test_two_hundred_kills_lose_nothing(
    tmp_path: Path, model: ScriptedModel, seed: int, figures: Figures, length: Callable[[int], int]
) -> None:
    """R01: over 200 kills and 10,000 acknowledged sends none is lost and none comes twice."""
    kills = length(210)
    await kill_loop(tmp_path, model, seed, figures, kills=kills, sends=50 * kills)


async def kill_loop(
    home: Path, model: ScriptedModel, seed: int, figures: Figures, *, kills: int, sends: int
) -> None:
    """Kill, start again, and go on, until there were enough of both; then look at everything."""
    work = Workload(seed, model)
    work.prepare(home)
    chance = random.Random(seed)
    done = at_start = 0
    while done < kills or len(work.ledger.messages) < sends:
        if chance.random() < 0.15:
            await killed_while_it_starts(home, chance.uniform(0.05, 1.0))
            at_start += 1
        else:
            promises = int(2.5 * sends / kills * chance.uniform(0.2, 1.8))
            await killed_at_work(home, work, promises, chance.uniform(0, 0.03))
        done += 1
    async with RunningDaemon(home, heard=lambda _: None, fresh=True) as daemon:
        stuck = await work.complete_creations(daemon)
        await settled(daemon)
    after = Aftermath(home)
    report(
        f"seed {seed}, home {home}",
        {
            "lines that do not parse": after.broken,
            "promised and not there": after.missing(work.ledger),
            "come twice": after.doubled(),
            "never delivered": after.undelivered(work.ledger),
            "tasks without exactly one verdict": after.unsettled(),
            "sessions by halves": after.halves(work.ledger),
            "creations that a kill stands in the way of": stuck,
        },
    )
    figures(kills=done, at_start=at_start, **work.ledger.figures(), lost=0, doubled=0)
    assert not unexpected(work.ledger), work.ledger.refused


async def killed_at_work(home: Path, work: Workload, promises: int, later: float) -> None:
    """One life under load, which ends at once a little after so many acknowledgements."""
    daemon = RunningDaemon(home, heard=lambda _: None, fresh=True)
    await daemon.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(work.until(daemon, promises))
        await work.enough.wait()
        await asyncio.sleep(later)
        daemon.signal(signal.SIGKILL)
    await daemon.gone()


async def killed_while_it_starts(home: Path, after: float) -> None:
    """One life that ends while it reads its files, or soon after."""
    command = (sys.executable, "-m", "clawd", "daemon", "run", "--home", str(home))
    process = await asyncio.create_subprocess_exec(*command)
    await asyncio.sleep(after)
    process.kill()
    assert await process.wait() == -signal.SIGKILL, "it must have lived until then"


async def settled(daemon: RunningDaemon) -> None:
    """Wait until nothing waits, runs or is open; a minute in which nothing happens is too long."""
    seen, since = -1, time.monotonic()
    while True:
        sessions = (await daemon.get("/api/sessions"))["items"]
        status = await daemon.get("/api/status")
        left = sum(s["queue"] + s["unread"] + (s["status"] == "busy") for s in sessions)
        if not left and not status["openTasks"]:
            return
        if status["seq"] > seen:
            seen, since = status["seq"], time.monotonic()
        if time.monotonic() - since > STUCK_SECONDS:
            pytest.fail(await _stuck(daemon, sessions), pytrace=False)
        # The daemon has better things to do than to answer this for every event.
        await asyncio.sleep(0.5)


async def _stuck(daemon: RunningDaemon, sessions: list[dict[str, Any]]) -> str:
    status = await daemon.get("/api/status")
    told = [
        f"{s['id']}: {s['status']}, {s['unread']} unread, {s['queue']} queued, {s['failed']}"
        for s in sessions
        if s["unread"] or s["queue"] or s["status"] != "idle"
    ]
    noticed = [f"{n['time']} {n['session']} {n['code']}: {n['text']}" for n in status["notices"]]
    open_tasks = f"{status['openTasks']} tasks stay open"
    return "\n  ".join([f"nothing goes on, and {open_tasks}", *told, *noticed[-20:]])


def unexpected(ledger: Ledger) -> set[str]:
    """Refusals that have no good reason: busy sessions and ended tasks are to be met."""
    return set(ledger.refused) - {"busy", "already_final", "guard_mailbox_full"}


def report(place: str, findings: dict[str, list[str]]) -> None:
    """Fail with everything that was found, a few of each kind in full."""
    told = [
        f"{len(found)} {what}:\n  " + "\n  ".join(text[:300] for text in found[:5])
        for what, found in findings.items()
        if found
    ]
    if told:
        # The home must outlive the run: it is the evidence.
        pytest.fail(f"{place}\n" + "\n".join(told), pytrace=False)
