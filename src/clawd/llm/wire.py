"""The chat-completions wire format, as far as clawd speaks it."""

from __future__ import annotations

from typing import Any

import msgspec

from clawd.errors import Invalid
from clawd.llm.port import ChatRequest
from clawd.messages import JSON, ChatMessage


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request; what is not set is not sent."""

    model: str
    messages: tuple[ChatMessage, ...]
    stream: bool
    stream_options: dict[str, bool]
    tools: tuple[JSON | msgspec.Raw, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class FunctionPart(msgspec.Struct, frozen=True, gc=False):
    """A piece of a call's name and arguments."""

    name: str | None = None
    arguments: str | None = None


class CallPart(msgspec.Struct, frozen=True, gc=False):
    """A piece of one tool call; ``index`` says of which."""

    index: int | None = None
    id: str | None = None
    function: FunctionPart | None = None


class Delta(msgspec.Struct, frozen=True, gc=False):
    """What a chunk adds to the message."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[CallPart] | None = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One of the answers; clawd asks for one."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct, frozen=True, gc=False):
    """How much of the prompt came from the provider's cache."""

    cached_tokens: int | None = None


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """What the endpoint counted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One server-sent event; ``error`` is how some endpoints fail after status 200."""

    choices: list[Choice] | None = None
    usage: Tokens | None = None
    error: Any = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Chunk)
_OTHERS = (b":", b"event:", b"id:", b"retry:")
"""How the lines of an event begin that are passed over."""


def encode(request: ChatRequest, *, completion_limit: bool) -> bytes:
    """The body of a request; ``completion_limit`` names the output limit as OpenAI does now.

    Raises ``Invalid`` for text that no JSON can hold (half of a surrogate pair).
    """
    limit = request.max_output_tokens
    body = Body(
        request.model,
        request.messages,
        stream=True,
        stream_options={"include_usage": True},
        tools=request.tools,
        temperature=request.temperature,
        max_tokens=None if completion_limit else limit,
        max_completion_tokens=limit if completion_limit else None,
    )
    try:
        return _encoder.encode(body)
    except UnicodeEncodeError:
        raise Invalid("invalid_text", "the conversation holds text that is not Unicode") from None


def calls_already(body: bytes, call_id: str) -> bool:
    """Whether a tool call of an encoded request may have this id; one search of the bytes."""
    return b'"id":' + _encoder.encode(call_id) in body


def decode(event: bytes) -> Chunk:
    """The chunk in an event's data; ``ValueError`` when it is none."""
    try:
        chunk = _decoder.decode(event)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ValueError("not a chunk of a chat completion") from None
    if chunk.choices is None and chunk.usage is None and chunk.error is None:
        raise ValueError("a chunk without choices")
    return chunk


class EventLines:
    """Cuts what the network brings into the data of server-sent events.

    Each ``data:`` line is taken as one event, which is how every endpoint sends its chunks.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that are now whole; ``ValueError`` for what is no event."""
        if b"\n" not in data:
            self._parts.append(data)
            return []
        if self._parts:
            data = b"".join([*self._parts, data])
            self._parts = []
        *lines, rest = data.split(b"\n")
        if rest:
            self._parts.append(rest)
        found: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                found.append(line[5:].strip())
            elif line and not line.startswith(_OTHERS) and line.strip():
                raise ValueError("not a server-sent event")
        return found
