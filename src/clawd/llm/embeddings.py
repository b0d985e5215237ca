"""Vectors of texts, by the same connections as chat completions."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import msgspec

from clawd.errors import ClawdError, ProviderError
from clawd.llm import faults
from clawd.llm.connections import Lost, Wire, addressed
from clawd.llm.endpoint import Endpoint
from clawd.llm.patience import Patience
from clawd.llm.port import Vector
from clawd.llm.tokens import estimate
from clawd.messages import Usage
from clawd.secrets import Secret

ANSWER_LIMIT = 64 * 1024 * 1024
"""The longest answer that is taken, in bytes."""
AT_ONCE = 4
"""So many requests run at once; the others wait within their own limit of time."""


class _Item(msgspec.Struct, frozen=True, gc=False):
    embedding: Vector
    index: int | None = None


class _Tokens(msgspec.Struct, frozen=True, gc=False):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Item]
    usage: _Tokens | None = None


_decoder = msgspec.json.Decoder(_Answer)


class OpenAIEmbeddings:
    """The embedding models of one endpoint with one key. Nothing is tried twice here."""

    def __init__(
        self,
        endpoint: str,
        api_key: Secret | None,
        wire: Wire,
        *,
        hide: Callable[[str], str] = str,
        key_from: str = "apiKey of the provider template",
    ) -> None:
        self._endpoint = Endpoint(endpoint, hide, key_from)
        self._wire = wire
        key = api_key.reveal() if api_key else ""
        if not (key.isascii() and key.isprintable()):
            key = ""
        self._address, headers = addressed(self._endpoint, key, "embeddings")
        self._headers = headers | {"Accept-Encoding": "identity"}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def embed(
        self, model: str, texts: Sequence[str], seconds: float
    ) -> tuple[list[Vector], Usage]:
        """One vector for each text, and what it used; raises what ``ChatModel`` does."""
        try:
            async with asyncio.timeout(seconds), self._slots:
                data = await self._asked(model, texts)
        except TimeoutError:
            raise faults.silence(self._endpoint, seconds, "gave no vectors", 1).error from None
        return self._read(data, texts)

    async def _asked(self, model: str, texts: Sequence[str]) -> bytes:
        asked = {"model": model, "input": list(texts), "encoding_format": "float"}
        body = msgspec.json.encode(asked)
        patience = Patience()
        try:
            response = await self._wire.post(self._address, self._headers, body)
            try:
                data = b""
                while part := await response.wait():
                    data += part
                    if len(data) > ANSWER_LIMIT:
                        raise self._garbage(f"it is longer than {ANSWER_LIMIT // 1024**2} MiB")
            finally:
                response.close()
        except Lost as error:
            raise faults.of_connection(error, self._endpoint, patience).error from None
        if 200 <= response.status < 300:
            return data
        said = data.decode(errors="replace")
        raise faults.of_status(
            response.status, response.headers, said, model, self._endpoint, patience
        ).error

    def _read(self, data: bytes, texts: Sequence[str]) -> tuple[list[Vector], Usage]:
        try:
            answer = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._garbage("it is no list of vectors", data) from None
        items = answer.data
        if all(item.index is not None for item in items):
            items = sorted(items, key=lambda item: item.index or 0)
        vectors = [item.embedding for item in items]
        sizes = {len(vector) for vector in vectors}
        if len(vectors) != len(texts) or len(sizes) > 1 or 0 in sizes:
            raise self._garbage(f"{len(vectors)} vectors for {len(texts)} texts, of sizes {sizes}")
        if not all(math.isfinite(sum(vector)) for vector in vectors):
            raise self._garbage("a vector holds what is no number")
        counted = answer.usage
        tokens = counted.prompt_tokens or counted.total_tokens if counted is not None else None
        if tokens is None:
            return vectors, Usage(sum(map(estimate, texts)), 0, 0, None, True)
        return vectors, Usage(tokens, 0, 0, None)

    def _garbage(self, why: str, data: bytes = b"") -> ClawdError:
        shown = f"; it began with {self._endpoint.shown(data[:200].decode(errors='replace'))!r}"
        return ProviderError(
            "provider_garbage",
            f"{self._endpoint.host} gave no vectors: {why}{shown if data else ''}",
            hint="check the template's embeddingModel",
        )
