"""R15: a day's work again and again; what was removed leaves nothing behind in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tests.faults.soak_day import WORD, day, day_config, minds
from tests.faults.soak_house import HouseHere, grown

from clawd.testing.homes import write_config
from clawd.testing.model import ScriptedModel

ELSEWHERE = (
    # What the operator is told of it, bounded by their number.
    ".notices.",
    # Of a trace and not of a session; bounded by their number.
    ".traces.",
    # Turns that nobody asked for count for an hour.
    ".guards.autonomous.",
    # An id that stood in config.json is no secret from then on.
    ".redactor._names",
    # What it used was used, and counts on.
    "ledger.",
    # A line or two for the next prompt of those who could see the session.
    "._news",
)


async def days(daemon: HouseHere, url: str, first: int, last: int) -> Counter[str]:
    """These cycles, tidied up behind; what there is in memory then."""
    for number in range(first, last + 1):
        await day(daemon, url, number, reload=number % 5 == 0)
    await daemon.house.comms.sweep()
    await daemon.house.registry.forget_removed(0)
    await daemon.post("/api/messages/prune")
    return await daemon.census()


async def test_removed_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    """R15: objects, files and tasks are the same after cycle 25 as after cycle 5."""
    async with ScriptedModel(remember=False) as model, asyncio.TaskGroup() as group:
        minds(model)
        write_config(tmp_path, day_config(model.url, 0, guest=False))
        async with HouseHere(tmp_path, group) as daemon:
            before = await days(daemon, model.url, 1, 5)
            after = await days(daemon, model.url, 6, 25)
            assert not grown(before, after)
            left = [
                path
                for path in daemon.paths_to(WORD)
                if not any(known in path for known in ELSEWHERE)
            ]
            assert not left, left[:20]
    assert not model.requests
