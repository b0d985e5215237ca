"""What the agent loop asks of a model, whichever endpoint stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, Protocol

import msgspec

from clawd.messages import JSON, ChatMessage, ToolCall, Usage

Finish = Literal["stop", "tool_calls", "length", "content_filter"]
"""Why a model ended its answer."""


class ChatRequest(msgspec.Struct, frozen=True):
    """One model call: the whole conversation and the tools on offer.

    ``tools`` are OpenAI tool declarations, encoded or not; ``session`` is for logs and never sent.
    ``lost`` hears what each attempt used that broke off in the middle of its answer: the reply of
    a later one does not count it.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[JSON | msgspec.Raw, ...] = ()
    temperature: float | None = None
    max_output_tokens: int | None = None
    session: str = ""
    tokens: int = 0
    lost: Callable[[Usage], object] | None = None


class TextDelta(msgspec.Struct, frozen=True):
    """Some more text: all that one read from the network brought."""

    text: str


class Restarted(msgspec.Struct, frozen=True):
    """The answer was cut off, and another begins: the text before this item is no part of it."""


class Reply(msgspec.Struct, frozen=True):
    """A whole answer: never made from a stream that did not say how it ended."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()


Item = TextDelta | Restarted | Reply
"""What a model's stream brings."""


class ChatModel(Protocol):
    """A model behind an endpoint."""

    def stream(self, request: ChatRequest) -> AsyncIterator[Item]:
        """Text as it comes, then exactly one ``Reply`` as the last item.

        The text since the last ``Restarted`` is that of the reply.

        Raises ``ProviderError``, ``ProviderBusy``, ``ContextOverflow`` or ``TimedOut``. Closing
        or cancelling the iterator closes the HTTP response at once.
        """
        ...


Vector = list[float]


class Embedder(Protocol):
    """Makes vectors with one model; ``name`` tells its vectors from those of any other."""

    @property
    def name(self) -> str:
        """The template and the model."""
        ...

    async def embed(self, texts: Sequence[str], seconds: float) -> list[Vector]:
        """One vector for each text, in their order, within so many seconds.

        Raises ``ClawdError``: the endpoint failed, a budget is spent, the time is over.
        """
        ...
