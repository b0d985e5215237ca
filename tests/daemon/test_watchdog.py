"""The watchdog: a loop that stands still is noticed once an episode, and systemd hears of life."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawd.daemon.watchdog import BLOCKED_SECONDS, Watchdog

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def told() -> AsyncIterator[tuple[Watchdog, asyncio.Queue[str]]]:
    """A watchdog of this test's loop, and what it tells."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    watchdog = Watchdog(heard.put_nowait)
    yield watchdog, heard
    watchdog.close()


def stand_still(seconds: float) -> None:
    """Hold up the loop, as a careless tool would."""
    time.sleep(seconds)


async def test_each_blockage_is_told_once_with_its_place(
    told: tuple[Watchdog, asyncio.Queue[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """F38: the stack while it lasts, the time when it is over, and a count for the status."""
    watchdog, heard = told
    for episode in (1, 2):
        with caplog.at_level(logging.WARNING):
            stand_still(BLOCKED_SECONDS + 0.6)
            async with asyncio.timeout(10):
                text = await heard.get()
        assert "the event loop was blocked for" in text
        assert watchdog.blocked == episode
        assert watchdog.longest >= BLOCKED_SECONDS
        stacks = [r for r in caplog.records if "has been blocked" in r.getMessage()]
        # A machine under load may not run the thread in time: then there is no stack to show.
        assert len(stacks) <= episode
        assert all("stand_still" in r.getMessage() for r in stacks)
    assert watchdog.state()["blocked"] == 2
    assert heard.empty()


async def test_a_loop_that_answers_is_left_alone(
    told: tuple[Watchdog, asyncio.Queue[str]],
) -> None:
    """Work in short pieces is no blockage, however much of it there is."""
    watchdog, heard = told
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        stand_still(0.005)
        await asyncio.sleep(0)
    assert (watchdog.blocked, heard.qsize()) == (0, 0)


@pytest.mark.parametrize(("meant", "pings"), [("", True), ("1", False)])
async def test_systemd_hears_of_a_loop_that_lives(
    meant: str, pings: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``WATCHDOG=1`` at half the time that systemd gave, from the process that it means."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        environ = {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": meant or str(os.getpid())}
        watchdog = Watchdog(lambda _: None, environ=environ)
        try:
            loop = asyncio.get_running_loop()
            heard: list[bytes] = []
            try:
                async with asyncio.timeout(10 if pings else 1):
                    while len(heard) < 3:
                        heard.append(await loop.sock_recv(channel, 64))
            except TimeoutError:
                pass
        finally:
            watchdog.close()
    assert heard == [b"WATCHDOG=1"] * (3 if pings else 0)
