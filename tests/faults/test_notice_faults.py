"""Notices of a time when the disk took nothing: there in the morning all the same."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import ScriptedModel

BACK_SECONDS = 5.0
"""A disk that has room again is noticed within this."""
GUARD = "guard_sends_per_minute"


def kept(file: Path) -> list[str]:
    """The codes in the file, but for what a busy machine has the daemon say of itself."""
    found = [notice["code"] for notice in latest(file)] if file.exists() else []
    return [code for code in found if code != "loop_blocked"]


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_what_was_told_on_a_full_disk_is_known_after_a_restart(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], end: str
) -> None:
    """R03: kept once there is room again, or at the latest when the daemon stops; and once."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a", "b", a={"limits": {"sendsPerMinute": 0}}))
    faulty, file = shim(home), home / "state/notices.jsonl"
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        faulty.control.strike(1, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)
        answer = await daemon.tool("a", "send_message_to_session", target_session="b", message="!")
        assert answer["error"] == GUARD
        async with asyncio.timeout(BACK_SECONDS):
            while not faulty.control["fired"]:
                await daemon.get("/api/status")
        faulty.control.rest()
        if end == "kill":
            async with asyncio.timeout(BACK_SECONDS):
                while not kept(file):
                    await daemon.get("/api/status")
            await daemon.kill()
        else:
            await daemon.stop()
        assert kept(file) == [GUARD]
        await daemon.start()
        told = [n["code"] for n in (await daemon.get("/api/status"))["notices"]]
        assert [code for code in told if code != "loop_blocked"] == [GUARD]
