"""Takes from a response all that has arrived at once, and waits only when nothing has."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any

from clawd.llm.limit import Limit

_AT_ONCE = 65_536


class _Abandoned(asyncio.CancelledError):
    """Ends a read that nobody waits for any more."""


class Reading:
    """The parts of a response's body, those together that came together.

    HTTP sends each event as a part of its own, and each would be a delta, an event and a redraw of
    its own. Most come many to a network read. So the next part is begun without waiting: one that
    is there is taken at once; one that is not stays begun until the caller chooses to wait for it.
    """

    def __init__(self, parts: AsyncGenerator[bytes, None]) -> None:
        self._parts = parts
        self._begun: Coroutine[Any, Any, bytes] | None = None
        self._waits_on: Any = None
        self._error: Exception | None = None
        self._limit = Limit()
        self.ended = False

    def at_hand(self) -> bytes:
        """What has arrived, at most about 64 KiB; b"" when one would have to wait (or at the end).

        An error after some parts is raised by the next call.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        taken: list[bytes] = []
        size = 0
        while self._begun is None and not self.ended and size < _AT_ONCE:
            begun: Any = self._parts.__anext__()
            try:
                self._waits_on = begun.send(None)
                self._begun = begun
            except StopIteration as part:
                taken.append(part.value)
                size += len(part.value)
            except StopAsyncIteration:
                self.ended = True
            except Exception as error:
                self.ended = True
                if not taken:
                    raise
                self._error = error
        return b"".join(taken)

    async def wait(self, when: float) -> bytes:
        """The next part, once it is there; b"" at the end.

        ``TimeoutError`` when it is not there at ``when``, by the clock of the loop.
        """
        if self._begun is None:
            return b""
        begun, self._begun = self._begun, None
        try:
            with self._limit.until(when):
                return await _drive(begun, self._waits_on)
        except StopAsyncIteration:
            self.ended = True
            return b""

    async def aclose(self) -> None:
        """End a read that was begun, and the response's body with it."""
        self._limit.close()
        begun, self._begun = self._begun, None
        if begun is not None:
            try:
                await _drive(begun, None, _Abandoned())
            except (_Abandoned, StopAsyncIteration, RuntimeError):
                # RuntimeError: the caller went away and the garbage collector's task ends the read.
                pass
        await self._parts.aclose()


@types.coroutine
def _drive(
    begun: Coroutine[Any, Any, bytes], waits_on: Any, error: BaseException | None = None
) -> Generator[Any, Any, bytes]:
    """Go on with a read that was begun, as ``await`` would have."""
    while True:
        sent = None
        if error is None:
            try:
                sent = yield waits_on
            except BaseException as thrown:  # noqa: BLE001 - a cancellation above all: it goes into the read
                error = thrown
        try:
            waits_on = begun.send(sent) if error is None else begun.throw(error)
        except StopIteration as part:
            return bytes(part.value)
        error = None
