"""Vectors from a real endpoint, and from those that have none to give."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from clawd.errors import ClawdError, ProviderBusy, ProviderError, TimedOut
from clawd.llm.embeddings import OpenAIEmbeddings
from clawd.llm.pool import ModelPool
from clawd.messages import Usage
from clawd.secrets import Secret
from clawd.testing.model import ScriptedModel


@pytest.fixture
async def pool() -> AsyncIterator[ModelPool]:
    """The clients of a daemon."""
    made = ModelPool()
    yield made
    await made.close()


@pytest.fixture
def vectors(pool: ModelPool, server: ScriptedModel) -> OpenAIEmbeddings:
    """What asks the scripted endpoint."""
    return pool.embeddings(server.url, Secret("sk-canary-0123456789"))


async def test_one_vector_for_each_text(server: ScriptedModel, vectors: OpenAIEmbeddings) -> None:
    """In their order, whatever order they come in, with what it used."""
    made, usage = await vectors.embed("embed-small", ["a b", "c"], 5.0)
    assert made == [server.embeddings.of("a b"), server.embeddings.of("c")]
    assert usage == Usage(3, 0, 0, None)
    body = server.embeddings.asked[0]
    assert body == {"model": "embed-small", "input": ["a b", "c"], "encoding_format": "float"}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, ProviderError, "provider_auth"),
        (404, ProviderError, "provider_model"),
        (429, ProviderBusy, "provider_busy"),
        (500, ProviderBusy, "provider_busy"),
        (302, ProviderError, "provider_redirect"),
    ],
)
async def test_an_endpoint_that_refuses(
    server: ScriptedModel,
    vectors: OpenAIEmbeddings,
    status: int,
    kind: type[ClawdError],
    code: str,
) -> None:
    """The same errors as for a chat, at once: nothing is tried twice."""
    server.embeddings.failing = status
    with pytest.raises(kind) as failed:
        await vectors.embed("embed-small", ["a"], 5.0)
    assert failed.value.code == code
    assert len(server.embeddings.asked) == 1


@pytest.mark.parametrize("numbers", [[], [float("nan")], [1e309]])
async def test_what_is_no_vector_is_said(
    server: ScriptedModel, vectors: OpenAIEmbeddings, numbers: list[float]
) -> None:
    """An answer without vectors, or with what is no number, is one clear error."""
    server.embeddings.vector = lambda _: numbers
    with pytest.raises(ProviderError, match="gave no vectors"):
        await vectors.embed("embed-small", ["a"], 5.0)
    server.embeddings.broken = True
    with pytest.raises(ProviderError, match="gave no vectors"):
        await vectors.embed("embed-small", ["a"], 5.0)


async def test_vectors_of_two_sizes_are_none(
    server: ScriptedModel, vectors: OpenAIEmbeddings
) -> None:
    """They could be compared with nothing."""
    server.embeddings.vector = lambda text: [1.0] * len(text)
    with pytest.raises(ProviderError, match="gave no vectors"):
        await vectors.embed("embed-small", ["a", "bb"], 5.0)


async def test_nobody_there(pool: ModelPool) -> None:
    """A port where nothing listens."""
    with pytest.raises(ProviderBusy) as failed:
        await pool.embeddings("http://127.0.0.1:9/v1").embed("m", ["a"], 5.0)
    assert failed.value.code == "provider_unreachable"


async def test_no_answer_in_time(server: ScriptedModel, vectors: OpenAIEmbeddings) -> None:
    """The limit holds from the call on."""
    with pytest.raises(TimedOut):
        await vectors.embed("embed-small", ["a"], 0.0)
