"""A model that cannot be asked past the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from functools import reduce
from operator import add
from typing import cast

import msgspec

from clawd.errors import TimedOut
from clawd.ledger.account import Account
from clawd.ledger.ledger import Hold, Ledger, Source, tokens_sent
from clawd.llm.port import ChatModel, ChatRequest, Item, Reply, TextDelta
from clawd.llm.prices import Price
from clawd.llm.tokens import estimate
from clawd.messages import Usage

_QUEUE = "provider_queue"


class Metered:
    """Reserves before each call and settles after it, however it ends; see ``ChatModel``."""

    def __init__(
        self,
        model: ChatModel,
        ledger: Ledger,
        account: Account,
        template: str,
        prices: Mapping[str, Price],
        *,
        free: bool,
    ) -> None:
        self._model = model
        self._ledger = ledger
        self._account = account
        self._template = template
        self._prices = prices
        self._free = free

    async def stream(self, request: ChatRequest) -> AsyncIterator[Item]:
        """See ``ChatModel``; raises ``GuardRefused`` before the call when a budget is spent."""
        price = self._prices.get(request.model)
        source = Source(self._template, request.model, price, self._free)
        hold = await self._ledger.reserve(self._account, source, request)
        broken: list[Usage] = []
        bound = request.max_output_tokens if hold.answer is None else hold.answer
        request = msgspec.structs.replace(request, max_output_tokens=bound, lost=broken.append)
        said: list[str] = []
        settled = False
        try:
            # A model's stream is a generator: it closes the connection when it is closed.
            stream = cast("AsyncGenerator[Item]", self._model.stream(request))
            async with aclosing(stream) as items:
                async for item in items:
                    if isinstance(item, TextDelta):
                        said.append(item.text)
                    elif isinstance(item, Reply):
                        settled = True
                        item = _with(item, broken)
                        self._ledger.settle(hold, item.usage)
                    else:
                        # The attempt that said it has told of itself.
                        said.clear()
                    yield item
        except BaseException as error:
            if not settled:
                settled = True
                stopped = isinstance(error, asyncio.CancelledError | GeneratorExit)
                # What the provider ended in the middle of an answer has told of itself.
                if stopped or not broken:
                    broken += _known(hold, request, price, said, error)
                self._lost(hold, request.model, broken)
            raise
        finally:
            if not settled:
                broken += _known(hold, request, price, said, None)
                self._lost(hold, request.model, broken)

    def _lost(self, hold: Hold, model: str, used: list[Usage]) -> None:
        """Settle a call that gave no reply."""
        usage = reduce(add, used) if used else None
        self._ledger.settle(hold, usage)
        if usage is not None and self._account.lost is not None:
            self._account.lost(model, usage)


def _with(reply: Reply, broken: list[Usage]) -> Reply:
    """The reply, with what the attempts before it have used."""
    if not broken:
        return reply
    return msgspec.structs.replace(reply, usage=reduce(add, broken, reply.usage))


def _known(
    hold: Hold,
    request: ChatRequest,
    price: Price | None,
    said: list[str],
    error: BaseException | None,
) -> list[Usage]:
    """What a call that did not end used, as an estimate; nothing when it never began."""
    waited = isinstance(error, asyncio.CancelledError | GeneratorExit | TimedOut)
    if not said and not (waited and getattr(error, "code", "") != _QUEUE):
        return []
    taken = hold.record.input_tokens or tokens_sent(request)
    given = estimate("".join(said))
    cost = None if price is None else (taken * price.input + given * price.output) / 1_000_000
    return [Usage(taken, given, 0, cost, True)]
