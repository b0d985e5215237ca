"""One timer bounds many waits, as a timer for each would."""

from __future__ import annotations

import asyncio

import pytest

from clawd.llm.limit import Limit

SOON = 0.02


async def test_a_wait_that_takes_too_long_ends() -> None:
    """At its time, and not before; the task is as if nothing had been cancelled."""
    loop = asyncio.get_running_loop()
    limit = Limit()
    for _ in range(2):
        began = loop.time()
        with pytest.raises(TimeoutError), limit.until(began + SOON):
            await asyncio.Event().wait()
        assert loop.time() - began >= SOON * 0.9
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_later_wait_has_its_own_limit() -> None:
    """The timer of an earlier wait ends neither a longer one nor whoever does not wait."""
    loop = asyncio.get_running_loop()
    limit = Limit()
    woken = asyncio.Event()
    with limit.until(loop.time() + SOON):
        pass
    loop.call_later(3 * SOON, woken.set)
    await asyncio.wait_for(woken.wait(), 10)
    with limit.until(loop.time() + SOON):
        pass
    woken.clear()
    loop.call_later(3 * SOON, woken.set)
    with limit.until(loop.time() + 10):
        await woken.wait()
    limit.close()


async def test_a_shorter_wait_after_a_longer_one() -> None:
    """A limit that comes before the timer moves it."""
    loop = asyncio.get_running_loop()
    limit = Limit()
    with limit.until(loop.time() + 60):
        pass
    began = loop.time()
    with pytest.raises(TimeoutError), limit.until(began + SOON):
        await asyncio.Event().wait()
    assert loop.time() - began < 10


async def test_who_cancels_the_task_cancels_it() -> None:
    """Long before the limit, and in the very moment of it; that is no time-out."""
    loop = asyncio.get_running_loop()

    async def waits(when: float) -> None:
        with Limit().until(when):
            await asyncio.Event().wait()

    for limit in (loop.time() + 60, loop.time() + SOON):
        waiting = asyncio.create_task(waits(limit))
        loop.call_at(min(limit, loop.time() + SOON), waiting.cancel)
        await asyncio.wait([waiting], timeout=10)
        assert waiting.cancelled()
