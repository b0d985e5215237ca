"""The models that are in use: one client for an endpoint and key, one connection pool for all."""

from __future__ import annotations

from clawd.llm.connections import Connections
from clawd.llm.embeddings import OpenAIEmbeddings
from clawd.llm.offline.wire import OFFLINE_ENDPOINT, OFFLINE_URL, OfflineWire
from clawd.llm.openai_chat import OpenAIChat
from clawd.llm.patience import Patience
from clawd.llm.port import ChatModel
from clawd.llm.prices import Prices
from clawd.secrets import Redactor, Secret


class ModelPool:
    """Makes a model once for each set of arguments; close it when the last turn has ended."""

    def __init__(self, patience: Patience | None = None, redactor: Redactor | None = None) -> None:
        self.patience = patience or Patience()
        self._redactor = redactor or Redactor()
        self._models: dict[object, OpenAIChat] = {}
        self._embeddings: dict[object, OpenAIEmbeddings] = {}
        self._online = Connections(self.patience.connect)
        self._offline = OfflineWire()

    def model(
        self,
        endpoint: str,
        api_key: Secret | None = None,
        *,
        max_concurrency: int = 8,
        timeout_seconds: float = 600,
        prices: Prices | None = None,
        context_window: int = 128_000,
        key_from: str = "apiKey of the provider template",
    ) -> ChatModel:
        """The model behind an endpoint; the same one for the same arguments.

        All that share it share its ``max_concurrency``. ``offline:`` is the model that is built
        in. ``prices`` are USD for a million tokens by model name. ``key_from`` says in words
        where the key is written, for whoever has to mend it.
        """
        listed = tuple(sorted((name, p.input, p.output) for name, p in (prices or {}).items()))
        limits = (max_concurrency, timeout_seconds, context_window)
        key = (endpoint, api_key, key_from, listed, limits)
        if key not in self._models:
            self._redactor.learn([api_key] if api_key else [])
            offline = endpoint == OFFLINE_ENDPOINT
            self._models[key] = OpenAIChat(
                OFFLINE_URL if offline else endpoint,
                api_key,
                self._offline if offline else self._online,
                max_concurrency=max_concurrency,
                timeout_seconds=timeout_seconds,
                prices=prices,
                context_window=context_window,
                patience=self.patience,
                hide=self._redactor.text,
                key_from=key_from,
            )
        return self._models[key]

    def embeddings(
        self,
        endpoint: str,
        api_key: Secret | None = None,
        *,
        key_from: str = "apiKey of the provider template",
    ) -> OpenAIEmbeddings:
        """What makes vectors behind an endpoint; the same one for the same arguments."""
        key = (endpoint, api_key, key_from)
        if key not in self._embeddings:
            self._redactor.learn([api_key] if api_key else [])
            self._embeddings[key] = OpenAIEmbeddings(
                endpoint, api_key, self._online, hide=self._redactor.text, key_from=key_from
            )
        return self._embeddings[key]

    async def close(self) -> None:
        """Close every connection; calls that still run fail."""
        self._models.clear()
        self._embeddings.clear()
        await self._online.close()
