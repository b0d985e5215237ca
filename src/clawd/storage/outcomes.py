"""What became of what the writer was asked for, on its way to who waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

from clawd.errors import StorageError

Settled = list[tuple[asyncio.Future[Any], Any, BaseException | None]]
"""Who waits, the result, the failure instead of one."""


def own(failure: BaseException, path: str) -> StorageError:
    """An error of its own for each who waits, so that their tracebacks do not mix."""
    if isinstance(failure, StorageError):
        return StorageError(failure.code, failure.message, hint=failure.hint, **failure.facts)
    return StorageError("storage_error", f"{path}: {failure!r}", path=path)


def settle(settled: Settled) -> None:
    """Tell each (on the event loop) what it waits for."""
    for future, result, failure in settled:
        if future.done():
            continue  # its caller was cancelled
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
