"""Running the operator's code in a thread of its own, which nothing has to wait for.

A pool's threads are joined when the interpreter ends, and a stuck one holds up everyone behind
it; these are daemon threads, one a call, and there is a bound on how many there may be.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from clawd.agent.calling import call_id, calling, progress
from clawd.errors import Refused

Result = TypeVar("Result")

MOST = 32

_running = threading.BoundedSemaphore(MOST)


async def in_thread(name: str, work: Callable[[], Result]) -> Result:
    """What ``work`` returns or raises; see ``start_thread``."""
    return await start_thread(name, work)


def start_thread(name: str, work: Callable[[], Result]) -> asyncio.Future[Result]:
    """What ``work`` will return or raise; when nobody waits for it the thread goes on by itself.

    ``Refused`` when 32 of them run already.
    """
    if not _running.acquire(blocking=False):
        raise Refused(
            "threads_busy",
            f"{MOST} calls of own tools in threads have not ended yet",
            hint="give them time limits of their own, or write them as coroutines",
        )
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Result] = loop.create_future()
    # Nobody may be left who wants to know.
    ended.add_done_callback(lambda future: future.cancelled() or future.exception())
    # Progress is told on the loop, in the context of the call.
    outside = copy_context()

    def tell(text: str) -> None:
        loop.call_soon_threadsafe(partial(outside.run, progress, text))

    def run() -> None:
        try:
            with calling(this_call, tell):
                outcome = partial(_settle, ended, work(), None)
        except BaseException as failure:  # noqa: BLE001 - it is told to whoever waits
            outcome = partial(_settle, ended, None, failure)
        finally:
            _running.release()
        try:
            loop.call_soon_threadsafe(outcome)
        except RuntimeError:
            # The daemon has ended in the meantime.
            return

    this_call = call_id()
    threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True).start()
    return ended


def _settle(
    ended: asyncio.Future[Result], result: Result | None, failure: BaseException | None
) -> None:
    if ended.done():
        return
    if failure is None:
        ended.set_result(result)  # type: ignore[arg-type]
    elif isinstance(failure, Exception) and not isinstance(failure, StopIteration):
        ended.set_exception(failure)
    else:
        # What would end the loop, or cannot be raised into it, is told as what it is.
        ended.set_exception(RuntimeError(f"{type(failure).__name__}: {failure}"))
