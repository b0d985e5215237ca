"""A scripted model and the real client in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from clawd.llm.patience import Patience
from clawd.llm.pool import ModelPool
from clawd.llm.port import ChatModel, ChatRequest, Reply, Restarted, TextDelta
from clawd.messages import ChatMessage, user
from clawd.secrets import Secret
from clawd.testing.model import ScriptedModel

QUICK = Patience(backoff=0.001, connect=5, first_token=5, idle=5)


@dataclass
class Heard:
    """What a model gave: the deltas since it last began anew, in order, and the reply."""

    deltas: list[str]
    reply: Reply


class Conversation:
    """Asks one model of one server through the real client."""

    def __init__(self, server: ScriptedModel, patience: Patience = QUICK) -> None:
        self.server = server
        self.pool = ModelPool(patience)
        self.key = "sk-canary-0123456789abcdef"
        self.heard: list[str] = []
        self.given_up: list[str] = []

    def model(self, *, timeout_seconds: float = 30, max_concurrency: int = 8) -> ChatModel:
        """The model under test."""
        return self.pool.model(
            self.server.url,
            Secret(self.key),
            timeout_seconds=timeout_seconds,
            max_concurrency=max_concurrency,
        )

    def request(self, *messages: ChatMessage, **fields: object) -> ChatRequest:
        """A request for the model named ``m``."""
        return ChatRequest("m", messages or (user("hi"),), **fields)  # type: ignore[arg-type]

    async def ask(
        self, request: ChatRequest | None = None, model: ChatModel | None = None
    ) -> Heard:
        """One call to its end; what came before a fault is in ``heard``.

        What was said before the model began anew is in ``given_up``.
        """
        self.heard, self.given_up = [], []
        async for item in (model or self.model()).stream(request or self.request()):
            if isinstance(item, TextDelta):
                self.heard.append(item.text)
            elif isinstance(item, Restarted):
                self.given_up.append("".join(self.heard))
                self.heard = []
            else:
                return Heard(self.heard, item)
        raise AssertionError("a stream without a reply")


@pytest.fixture
async def server() -> AsyncIterator[ScriptedModel]:
    """A scripted model server."""
    async with ScriptedModel() as model:
        yield model


@pytest.fixture
async def talk(server: ScriptedModel) -> AsyncIterator[Conversation]:
    """The real client in front of the server."""
    conversation = Conversation(server)
    yield conversation
    await conversation.pool.close()
