"""What a model call cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from clawd.llm.tokens import estimate
from clawd.llm.wire import Tokens
from clawd.messages import Usage


class Price(Protocol):
    """USD for a million tokens."""

    @property
    def input(self) -> float:
        """Of the prompt."""
        ...

    @property
    def output(self) -> float:
        """Of the answer."""
        ...


Prices = Mapping[str, Price]
"""Model name to price."""


def usage_of(tokens: Tokens | None, sent: bytes, received: str, price: Price | None) -> Usage:
    """What the endpoint counted, or, marked as such, an estimate from what was exchanged."""
    if tokens is not None:
        details = tokens.prompt_tokens_details
        cached = (details.cached_tokens or 0) if details is not None else 0
        taken, given, estimated = tokens.prompt_tokens or 0, tokens.completion_tokens or 0, False
    else:
        taken, given, estimated = estimate(sent.decode()), estimate(received), True
        cached = 0
    cost = None if price is None else (taken * price.input + given * price.output) / 1_000_000
    return Usage(taken, given, cached, cost, estimated)
