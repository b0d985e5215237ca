"""A fallback answers for an endpoint that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clawd.errors import ClawdError, ContextOverflow, ProviderBusy, ProviderError
from clawd.llm.failover import Failover
from clawd.secrets import Secret
from clawd.testing.model import ScriptedModel, cut, fail, overflow, say

if TYPE_CHECKING:
    from tests.llm.conftest import Conversation


@pytest.mark.parametrize("status", [401, 402, 404, 500])
async def test_the_fallback_answers(server: ScriptedModel, talk: Conversation, status: int) -> None:
    """After the last attempt the fallback is asked with its own model, key and name."""
    async with ScriptedModel() as other:
        server.rule("m", lambda _: fail(status))
        other.script("m2", [say("here")])
        told: list[ClawdError] = []
        second = talk.pool.model(other.url, Secret("another key"))
        model = Failover(talk.model(), second, "m2", told.append)
        assert (await talk.ask(model=model)).reply.text == "here"
        assert (other.requests[0].model, other.requests[0].key) == ("m2", "another key")
        assert [str(status) in error.message for error in told] == [True]


async def test_an_error_of_both_names_both(server: ScriptedModel, talk: Conversation) -> None:
    """When the fallback fails too, one error says what became of each."""
    async with ScriptedModel() as other:
        server.rule("m", lambda _: fail(500))
        other.rule("m2", lambda _: fail(401))
        model = Failover(talk.model(), talk.pool.model(other.url, Secret("k")), "m2")
        with pytest.raises(ProviderBusy, match=r"500.*fallback failed.*401"):
            await talk.ask(model=model)


async def test_what_is_not_the_endpoints_failure_stays(
    server: ScriptedModel, talk: Conversation
) -> None:
    """An overflow, a wrong request and an answer that was begun are not handed on."""
    async with ScriptedModel() as other:
        model = Failover(talk.model(), talk.pool.model(other.url, Secret("k")), "m2")
        server.script("m", [overflow(), fail(400), *[cut("a word ")] * 3])
        for kind in (ContextOverflow, ProviderError, ProviderError):
            with pytest.raises(kind):
                await talk.ask(model=model)
        assert other.requests == []
