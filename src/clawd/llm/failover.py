"""A model with another one behind it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import msgspec

from clawd.errors import ClawdError, ContextOverflow, ProviderBusy, ProviderError, TimedOut
from clawd.llm.port import ChatModel, ChatRequest, Item

_log = logging.getLogger(__name__)


class Failover:
    """Asks ``first``; when that fails for good before it said a word, asks ``second``.

    ``model`` is the name that the second endpoint knows. ``told`` hears of each change-over, with
    the error that led to it. A conversation that is too long, and a request that the endpoint
    holds to be wrong, are not the endpoint's failure.
    """

    def __init__(
        self,
        first: ChatModel,
        second: ChatModel,
        model: str,
        told: Callable[[ClawdError], object] | None = None,
    ) -> None:
        self._first = first
        self._second = second
        self._model = model
        self._told = told

    async def stream(self, request: ChatRequest) -> AsyncIterator[Item]:
        """See ``ChatModel``; when both fail, the error names both."""
        spoken = False
        try:
            async for item in self._first.stream(request):
                spoken = True
                yield item
            return
        except (ProviderError, TimedOut) as error:
            if spoken or isinstance(error, ContextOverflow) or error.code == "provider_refused":
                raise
            failure: ClawdError = error
        _log.warning("%s: the fallback is asked: %s", request.session, failure.message)
        if self._told is not None:
            self._told(failure)
        try:
            async for item in self._second.stream(
                msgspec.structs.replace(request, model=self._model)
            ):
                yield item
        except ContextOverflow:
            raise
        except (ProviderError, TimedOut) as error:
            raise _both(failure, error) from None


def _both(first: ClawdError, second: ClawdError) -> ProviderError:
    text = f"{first.message}; and the fallback failed: {second.message}"
    passing = any(isinstance(error, ProviderBusy | TimedOut) for error in (first, second))
    if passing:
        return ProviderBusy("provider_busy", text, hint=first.hint, retryable=True)
    return ProviderError(second.code, text, hint=first.hint)
