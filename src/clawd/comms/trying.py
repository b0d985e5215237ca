"""Going on until it is done: what follows from something stored, and may itself be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from clawd.comms.clock import Clock
from clawd.errors import ClawdError, StorageError

_AGAIN_SECONDS, _MOST_SECONDS = 2.0, 300.0
_MOST_FOR_A_DISK = 4.0  # a disk that has room again is noticed within five seconds


async def surely(
    clock: Clock,
    what: Callable[[], Awaitable[object]],
    refused: Callable[[ClawdError], object],
    again: float = _AGAIN_SECONDS,
) -> None:
    """Do ``what`` may be done twice; what is in its way is tried again, and ``refused`` told once.

    The error does not come out: whoever asked has what is stored already.
    """
    try:
        await what()
    except asyncio.CancelledError:
        # Whoever asked is stopped; what is stored is followed to its end all the same.
        clock.later(0, lambda: surely(clock, what, refused, again))
        raise
    except ClawdError as error:
        if again == _AGAIN_SECONDS:
            refused(error)
        # Too long for its file stays so: nothing to ask a disk for so often.
        disk = isinstance(error, StorageError) and error.code != "line_too_large"
        longer = min(2 * again, _MOST_FOR_A_DISK if disk else _MOST_SECONDS)
        clock.later(again, lambda: surely(clock, what, refused, longer))
