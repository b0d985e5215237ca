"""A limit of time on one wait after another, kept by a single timer."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Limit:
    """Bounds the waits of a stream by one task, each of which has a limit of its own.

    ::

        with limit.until(loop.time() + 5):
            part = await parts.next()

    ``TimeoutError`` for a wait that takes longer; whoever cancels the task meanwhile cancels it.
    ``asyncio.timeout`` does the same with a timer for each wait, a tenth of what a token costs.
    Here one timer looks, when it is due, whether the wait of that moment has had its time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.current_task()
        self._waiting = False
        self._when = 0.0
        self._cancelled_before = 0
        self._over = False

    def until(self, when: float) -> Self:
        """For the next wait, by the clock of the loop."""
        self._when = when
        return self

    def close(self) -> None:
        """There is nothing more to wait for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        if self._task is None:
            raise RuntimeError("only a task can wait within a limit")
        self._waiting, self._over = True, False
        self._cancelled_before = self._task.cancelling()
        if self._timer is None or self._timer.when() > self._when:
            self._set()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waiting = False
        if (
            self._over
            and self._task is not None
            # Else somebody else wants the task to end, too.
            and self._task.uncancel() <= self._cancelled_before
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def _set(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self._when, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._task is None or not self._waiting:
            return
        if self._loop.time() < self._when:
            self._set()
        else:
            self._over = True
            self._task.cancel()
