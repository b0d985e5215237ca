"""An embedding model that cannot be asked past the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from clawd.ledger.account import Account
from clawd.ledger.ledger import Ledger, Source
from clawd.llm.port import ChatRequest
from clawd.llm.prices import Price
from clawd.llm.tokens import estimate
from clawd.messages import Usage


class Vectors(Protocol):
    """Makes vectors (``clawd.llm.embeddings.OpenAIEmbeddings``)."""

    async def embed(
        self, model: str, texts: Sequence[str], seconds: float
    ) -> tuple[list[list[float]], Usage]:
        """One vector for each text, and what it used."""
        ...


class MeteredEmbedder:
    """Reserves before each request and settles after it; see ``clawd.llm.port.Embedder``."""

    def __init__(
        self,
        vectors: Vectors,
        model: str,
        ledger: Ledger,
        account: Account,
        template: str,
        price: Price | None,
    ) -> None:
        self._vectors = vectors
        self._model = model
        self._ledger = ledger
        self._account = account
        self._source = Source(template, model, price)

    @property
    def name(self) -> str:
        """The template and the model."""
        return f"{self._source.template}/{self._model}"

    async def embed(self, texts: Sequence[str], seconds: float) -> list[list[float]]:
        """One vector for each text; ``GuardRefused`` before the request when a budget is spent."""
        tokens = sum(map(estimate, texts))
        request = ChatRequest(self._model, (), max_output_tokens=1, tokens=tokens)
        hold = await self._ledger.reserve(self._account, self._source, request)
        used: Usage | None = None
        try:
            vectors, used = await self._vectors.embed(self._model, texts, seconds)
        finally:
            if used is not None and self._source.price is not None:
                cost = used.input_tokens * self._source.price.input / 1_000_000
                used = msgspec.structs.replace(used, cost=cost)
            self._ledger.settle(hold, used)
        return vectors
