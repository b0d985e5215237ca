"""What crashes is started again, what crashes too often is parked, and close ends everything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from clawd.daemon import supervisor as module
from clawd.daemon.supervisor import Supervisor

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
async def supervisor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    """A supervisor with short pauses."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)
    made = Supervisor()
    yield made
    await made.close(5)


class Part:
    """Something that crashes so many times, and then runs."""

    def __init__(self, crashes: int) -> None:
        self.left = crashes
        self.starts = 0
        self.steady = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.parked: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        self.starts += 1
        if self.left:
            self.left -= 1
            raise RuntimeError(f"crash {self.starts}")
        self.steady.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cancelled.set()


async def test_a_crash_is_followed_by_a_restart(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    """Two crashes are survived, and both are in the log with the name of the part."""
    part = Part(2)
    with caplog.at_level(logging.ERROR):
        supervisor.supervise("part", part.run, part.parked.set_result)
        async with asyncio.timeout(5):
            await part.steady.wait()
    assert part.starts == 3
    assert not part.parked.done()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["part crashed: crash 1", "part crashed: crash 2"]


async def test_pauses_grow(supervisor: Supervisor) -> None:
    """Each restart waits longer than the one before."""
    pauses = [module.pause_after(count) for count in (1, 2, 3)]
    assert pauses == sorted(set(pauses))
    assert pauses[0] > 0


async def test_three_crashes_park_it_and_somebody_is_told(supervisor: Supervisor) -> None:
    """A crash loop is bounded: given up with the last error, and others are not disturbed."""
    part, other = Part(99), Part(0)
    supervisor.supervise("other", other.run, other.parked.set_result)
    supervisor.supervise("part", part.run, part.parked.set_result)
    async with asyncio.timeout(5):
        assert await part.parked == "RuntimeError: crash 3"
    assert part.starts == 3
    assert not other.cancelled.is_set()


async def test_what_was_parked_can_be_started_anew(supervisor: Supervisor) -> None:
    """Its count begins again."""
    part = Part(3)
    supervisor.supervise("part", part.run, part.parked.set_result)
    async with asyncio.timeout(5):
        await part.parked
        supervisor.supervise("part", part.run, part.parked.set_result)
        await part.steady.wait()


async def test_a_name_runs_once(supervisor: Supervisor) -> None:
    """Supervising what runs already changes nothing."""
    part, twin = Part(0), Part(0)
    supervisor.supervise("part", part.run, part.parked.set_result)
    supervisor.supervise("part", twin.run, twin.parked.set_result)
    async with asyncio.timeout(5):
        await part.steady.wait()
    assert twin.starts == 0


async def test_stop_waits_for_the_end_of_one(supervisor: Supervisor) -> None:
    """The named part has ended when ``stop`` returns; others go on; unknown names are fine."""
    part, other = Part(0), Part(0)
    supervisor.supervise("part", part.run, part.parked.set_result)
    supervisor.supervise("other", other.run, other.parked.set_result)
    async with asyncio.timeout(5):
        await part.steady.wait()
        await supervisor.stop("part")
        await supervisor.stop("nobody")
    assert part.cancelled.is_set()
    assert not other.cancelled.is_set()


async def test_close_ends_everything_and_starts_nothing_more(supervisor: Supervisor) -> None:
    """Parts, single pieces of work and timers end; what comes later is not begun."""
    part, late = Part(0), Part(0)
    began: list[str] = []

    async def work(name: str) -> None:
        began.append(name)
        await asyncio.get_running_loop().create_future()

    supervisor.supervise("part", part.run, part.parked.set_result)
    supervisor.spawn("work", work("work"))
    supervisor.later(0.001, lambda: work("timer that was too late"))
    async with asyncio.timeout(5):
        await part.steady.wait()
        assert await supervisor.close(5) == []
    assert part.cancelled.is_set()
    supervisor.supervise("late", late.run, late.parked.set_result)
    supervisor.spawn("late", work("late"))
    supervisor.later(0, lambda: work("late timer"))
    async with asyncio.timeout(5):
        await asyncio.to_thread(lambda: None)
    assert late.starts == 0
    assert began == ["work"]


async def test_close_names_what_does_not_end(supervisor: Supervisor) -> None:
    """Something that ignores its cancellation holds nobody up for longer than asked."""
    stubborn, release = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                stubborn.set()

    supervisor.spawn("stubborn", run())
    began = asyncio.Event()
    supervisor.spawn("began", _set(began))
    async with asyncio.timeout(5):
        await began.wait()
        assert await supervisor.close(0.01) == ["stubborn"]
        assert stubborn.is_set()
        release.set()


async def test_a_single_piece_of_work_that_fails_is_logged(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing fails in silence, and nothing else falls with it."""
    logged = asyncio.Event()

    async def fail() -> None:
        raise ValueError("broken")

    class Listen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.set()

    listener = Listen()
    module.log.addHandler(listener)
    try:
        supervisor.spawn("work", fail())
        async with asyncio.timeout(5):
            await logged.wait()
    finally:
        module.log.removeHandler(listener)
    assert "work failed: broken" in caplog.text


async def test_a_timer_runs_once_unless_it_is_cancelled(supervisor: Supervisor) -> None:
    """``later`` gives back what takes it back."""
    ran: list[str] = []
    done = asyncio.Event()

    async def act(name: str) -> None:
        ran.append(name)
        if name == "last":
            done.set()

    cancel = supervisor.later(0.001, lambda: act("cancelled"))
    supervisor.later(0.002, lambda: act("first"))
    supervisor.later(0.02, lambda: act("last"))
    cancel()
    async with asyncio.timeout(5):
        await done.wait()
    assert ran == ["first", "last"]


async def _set(event: asyncio.Event) -> None:
    event.set()
