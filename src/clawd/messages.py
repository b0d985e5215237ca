"""What is said to and by a model: chat messages in the wire format of chat completions.

These are the only records that keep a protocol's own snake_case names, because they go to the
endpoint, into the transcript and back as they stand.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Function(msgspec.Struct, frozen=True, gc=False):
    """The name and the JSON text of the arguments of a call, as the model wrote them."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """One call that a model asks for."""

    id: str
    function: Function
    type: Literal["function"] = "function"


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One message of a conversation: exactly what an endpoint receives."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Usage(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens of one or more model calls, and what they cost in USD where a price is known.

    ``estimated`` marks counts that the endpoint did not report.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            sum(costs) if costs else None,
            self.estimated or other.estimated,
        )


def system(text: str) -> ChatMessage:
    """A system message."""
    return ChatMessage("system", text)


def user(text: str) -> ChatMessage:
    """A user message."""
    return ChatMessage("user", text)


def assistant(text: str, calls: tuple[ToolCall, ...] = ()) -> ChatMessage:
    """An assistant message; a message of calls alone has no content."""
    return ChatMessage("assistant", text if text or not calls else None, calls)


def tool_result(call: ToolCall, content: str) -> ChatMessage:
    """The one result of a tool call."""
    return ChatMessage("tool", content, tool_call_id=call.id)


JSON = dict[str, Any]
"""A model's own JSON object: the one place where a bare dictionary is right."""
