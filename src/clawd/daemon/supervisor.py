"""The one place that makes asyncio tasks: every one has a name, an owner and an end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

log = logging.getLogger("clawd.supervisor")

RESTARTS = 3
WITHIN_SECONDS = 60.0
STOP_SECONDS = 10.0
PAUSE_SECONDS = 0.2


class Supervisor:
    """Owns the daemon's tasks: runs them, restarts what crashes, ends all of them."""

    def __init__(self) -> None:
        self._named: dict[str, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[object]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._closing = False

    def supervise(
        self, name: str, run: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[str], None]
    ) -> None:
        """Keep ``run`` running; three crashes in a minute give it up, and ``failed`` is told."""
        current = self._named.get(name)
        if self._closing or (current is not None and not current.done()):
            return
        self._named[name] = asyncio.create_task(self._keep_running(name, run, failed), name=name)

    async def stop(self, name: str) -> None:
        """Cancel what runs under a name and wait for its end, but not for ever."""
        task = self._named.pop(name, None)
        if task is not None:
            task.cancel()
            _, late = await asyncio.wait([task], timeout=STOP_SECONDS)
            if late:
                log.error("%s did not stop within %g s", name, STOP_SECONDS)

    def spawn(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        """Run something once; an exception is logged."""
        if self._closing:
            work.close()
            return
        task = asyncio.create_task(work, name=name)
        self._others.add(task)
        task.add_done_callback(self._ended)

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> Callable[[], None]:
        """Run ``what`` after so many seconds; the answer cancels it before it began."""
        if self._closing:
            return lambda: None
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle = loop.call_later(seconds, lambda: self._due(handle, what))
        self._timers.add(handle)

        def cancel() -> None:
            handle.cancel()
            self._timers.discard(handle)

        return cancel

    async def close(self, seconds: float) -> list[str]:
        """Cancel everything and wait; the names of what did not end in time."""
        self._closing = True
        for timer in self._timers:
            timer.cancel()
        tasks = [*self._named.values(), *self._others]
        for task in tasks:
            task.cancel()
        if not tasks:
            return []
        _, late = await asyncio.wait(tasks, timeout=seconds)
        return [task.get_name() for task in late]

    def _due(self, handle: asyncio.TimerHandle, what: Callable[[], Awaitable[object]]) -> None:
        self._timers.discard(handle)

        async def run() -> object:
            return await what()

        self.spawn("timer", run())

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._others.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed: %s", task.get_name(), error, exc_info=error)

    async def _keep_running(
        self, name: str, run: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[str], None]
    ) -> None:
        crashes: deque[float] = deque(maxlen=RESTARTS)
        while True:
            try:
                await run()
                return
            except GeneratorExit:
                raise
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and _asked_to_end():
                    raise
                cause = _cause(error)
                log.error("%s crashed: %s", name, cause, exc_info=error)
                crashes.append(time.monotonic())
                if len(crashes) == RESTARTS and crashes[-1] - crashes[0] < WITHIN_SECONDS:
                    failed(f"{type(cause).__name__}: {cause}")
                    return
                await asyncio.sleep(pause_after(len(crashes)))


def _cause(error: BaseException) -> BaseException:
    """What a group of one error is about."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _asked_to_end() -> bool:
    """Whether a cancellation is meant for this task, not one that some part of it let slip."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def run_to_its_end(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Result:
    """Run the daemon's first task, whatever another task raises."""
    first = loop.create_task(work, name="daemon")
    while not first.done():
        try:
            loop.run_until_complete(first)
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio lets these two of any task end the loop. Whoever waits for that task has the
            # error too; everyone else goes on where they were.
            if first.done():
                break
            log.error("a task tried to end the daemon: %r", error, exc_info=error)
    return first.result()


def pause_after(crashes: int) -> float:
    """Seconds before a restart; each crash makes them more."""
    return PAUSE_SECONDS * 4.0**crashes
