"""The chat's link to the daemon: requests on worker threads, events from a reader thread.

The loop that draws the screen never waits for the daemon.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from clawd.cli.chat.lines import Line
from clawd.cli.client import JSON, Client, Wanted
from clawd.cli.events import Change, Events
from clawd.errors import ClawdError

Work = Callable[[], list[Line]]
"""Something that asks the daemon, on a worker thread, and comes back with lines to show."""


class Link:
    """Runs work beside the loop and brings lines, problems and events back onto it."""

    def __init__(
        self,
        client: Client,
        show: Callable[[list[Line]], None],
        problem: Callable[[ClawdError], None],
    ) -> None:
        self._client = client
        self._show = show
        self._problem = problem
        self._queue: asyncio.Queue[Work] = asyncio.Queue()
        self._events: Events | None = None
        self._background: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The link for as long as the screen is there."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._background.append(group.create_task(self._one_after_another()))
            try:
                yield
            finally:
                if self._events is not None:
                    self._events.close()
                for task in self._background:
                    task.cancel()

    def in_order(self, work: Work) -> None:
        """Do this after everything that was given to ``in_order`` before."""
        self._queue.put_nowait(work)

    def aside(self, work: Work) -> None:
        """Do this now, beside everything else."""
        self._background = [task for task in self._background if not task.done()]
        self._background.append(self._group.create_task(self._do(work)))

    def post(self, act: Callable[[Any], None], value: object) -> None:
        """Call ``act`` on the loop; to be called from a worker or the reader thread."""
        try:
            self._loop.call_soon_threadsafe(act, value)
        except RuntimeError:
            pass  # the loop has ended: nobody is looking any more

    def follow(
        self, wanted: Wanted, take: Callable[[JSON], None], changed: Callable[[Change], None]
    ) -> None:
        """Hand every wanted event from now on to ``take``, for good: lost connections return."""
        events = Events(
            self._client,
            patience=math.inf,
            wanted=wanted,
            changed=lambda change: self.post(changed, change),
        )
        self._events = events

        def read() -> None:
            try:
                for event in events:
                    self.post(take, event)
            except ClawdError as problem:
                self.post(self._problem, problem)

        # A daemon thread: one that waits for the socket does not hold up the end.
        threading.Thread(target=read, name="events", daemon=True).start()

    def every_second(self, act: Callable[[], None]) -> None:
        """Call ``act`` once a second, for what changes with time alone."""

        async def tick() -> None:
            while True:
                await asyncio.sleep(1.0)
                act()

        self._background.append(self._group.create_task(tick()))

    async def _one_after_another(self) -> None:
        while True:
            await self._do(await self._queue.get())

    async def _do(self, work: Work) -> None:
        try:
            self._show(await asyncio.to_thread(work))
        except ClawdError as problem:
            self._problem(problem)
        except (OSError, LookupError, TypeError, ValueError) as problem:
            text = f"something unexpected happened: {type(problem).__name__}: {problem}"
            self._problem(ClawdError("unexpected", text))
