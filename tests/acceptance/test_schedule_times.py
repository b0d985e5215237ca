"""M35: schedules of a daemon whose clock is another: changes of the clocks, days that passed."""

from __future__ import annotations

import time
from glob import glob
from pathlib import Path

import pytest
from tests.acceptance.scheduling import create, one, runs_of, settled, started

from clawd.ids import timestamp
from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel

LIBRARY = next(iter(glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), "")
with_another_time = pytest.mark.skipif(
    not LIBRARY, reason="libfaketime sets the daemon's clock: apt-get install faketime"
)


def at(when: str) -> dict[str, str]:
    """The environment of a daemon whose clock starts at this time, or is so far off (``+2d``)."""
    return {
        "LD_PRELOAD": LIBRARY,
        "FAKETIME": when,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "TZ": "UTC",
    }


@with_another_time
async def test_cron_in_its_zone(model: ScriptedModel, tmp_path: Path) -> None:
    """M35: 02:30 is skipped in Berlin on this day: a real daemon runs it at 03:00."""
    began, line, zone = "2026-03-29 00:59:48", "30 2 * * *", "Europe/Berlin"
    entry = {"id": "c", "cron": line, "zone": zone, "text": "x"}
    write_config(tmp_path, scripted(model.url, "a", "b", a={"schedules": [entry]}))
    async with RunningDaemon(tmp_path, environ=at(f"@{began}")) as daemon:
        await daemon.ended((await started(daemon))["run_id"])
    assert runs_of(tmp_path) == ["2026-03-29T01:00:00.000Z"]


@with_another_time
async def test_two_days_of_sleep(model: ScriptedModel, tmp_path: Path) -> None:
    """M35: what was missed in two days is made up for once, or skipped, as each is set."""
    write_config(tmp_path, scripted(model.url, "a", "b"))
    async with RunningDaemon(tmp_path) as daemon:
        hourly = await create(daemon, every="1 hour", text="hourly")
        party = await create(daemon, once="in 1 hour", text="party")
        skip = await create(daemon, every="1 hour", missed="skip", text="skip")
        late = await create(daemon, once="in 1 hour", missed="skip", text="late")
    async with RunningDaemon(tmp_path, environ=at("+2d")) as daemon:
        await settled(daemon, hourly, lambda s: s.get("last") is not None)
        await settled(daemon, party, lambda s: s["state"] == "done")
        await settled(daemon, late, lambda s: s["state"] == "done")
        shown = await one(daemon, skip)
        assert (shown["runs"], shown["skipped"]) == (0, 1)
        assert shown["next"] > timestamp(time.time() + 2 * 86_400)
        assert (await one(daemon, hourly))["runs"] == 1
    # And back: what was had is not had again.
    async with RunningDaemon(tmp_path) as daemon:
        await daemon.idle()
        assert (await one(daemon, hourly))["runs"] == 1
    assert len(runs_of(tmp_path)) == 2
