"""The one agent loop: model, tools, model … until the model has nothing more to call.

It never throws for a model's or a tool's failure: a turn's outcome is ``Finished`` or ``Failed``,
or ``Parked`` until a human has said something. Whoever asked for the turn says so on the stream
once that is on disk. A cancellation is recorded and then goes on up.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import msgspec

from clawd import events
from clawd.agent.dispatch import Keeper, Standstill, run_tools
from clawd.agent.history import sound
from clawd.agent.toolset import Toolset
from clawd.agent.turn import Turn
from clawd.errors import ClawdError, ContextOverflow, GuardRefused, ProviderError
from clawd.ids import new_id
from clawd.llm.port import ChatModel, ChatRequest, Reply, Restarted
from clawd.messages import ChatMessage, ToolCall, assistant


class Conversation(Keeper, Protocol):
    """The transcript as the loop sees it."""

    async def request(self, tools: tuple[msgspec.Raw, ...]) -> ChatRequest:
        """What to ask the model now: everything that fits, older history summarised."""
        ...

    async def shrink(self) -> bool:
        """Make the history shorter after the endpoint refused it; False when that is impossible."""
        ...

    async def keep(self, *messages: ChatMessage, partial: bool = False) -> None:
        """Add to the transcript; durable when this returns. ``partial``: cut off by a cancel.

        Results of tools may come to disk with what follows them.
        """
        ...

    async def end(self, message: ChatMessage) -> None:
        """Add the model's last word to the transcript; durable when this returns."""
        ...

    async def hear(self) -> None:
        """Add the lines by which the user steers this turn, if there are any."""
        ...

    def open_calls(self) -> tuple[ToolCall, ...]:
        """The calls that a human had to decide on when the turn last stood still."""
        ...


@dataclass(frozen=True, slots=True)
class Finished:
    """The model said its last word."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn ended without one."""

    error: ClawdError


@dataclass(frozen=True, slots=True)
class Parked:
    """The turn stands still: these calls wait for a human, and are made when it goes on."""

    calls: tuple[str, ...]


async def run_turn(
    turn: Turn, model: ChatModel, conversation: Conversation, tools: Toolset
) -> Finished | Failed | Parked:
    """Run the loop from what the conversation holds to the final text."""
    offered = tuple(tool.declaration.encoded for tool in tools.all())
    try:
        if waited := conversation.open_calls():
            await run_tools(turn, conversation, tools, waited)
            turn.repetition.check(turn.id)
        for _ in range(turn.model_calls, turn.max_model_calls):
            await conversation.hear()
            reply = await _ask(turn, model, conversation, offered)
            if not reply.calls:
                return Finished(reply.text)
            await run_tools(turn, conversation, tools, reply.calls)
            turn.repetition.check(turn.id)
        raise GuardRefused(
            "guard_model_calls_per_turn",
            f"this turn reached its limit of {turn.max_model_calls} model calls",
            limit=turn.max_model_calls,
            value=turn.max_model_calls,
            scope=f"turn {turn.id}",
            hint="raise limits.maxModelCallsPerTurn, or ask for less in one turn",
        )
    except Standstill as standstill:
        return Parked(standstill.calls)
    except ClawdError as error:
        if isinstance(error, GuardRefused):
            turn.notice(error.code, error.message, error.as_json())
        return Failed(error)


async def _ask(
    turn: Turn, model: ChatModel, conversation: Conversation, offered: tuple[msgspec.Raw, ...]
) -> Reply:
    """One reply, kept in the transcript; an overflow and an empty answer are tried once more."""
    shrunk = retried = False
    while True:
        request = await conversation.request(offered)
        try:
            reply = await _stream(turn, model, request, conversation)
        except ContextOverflow:
            if shrunk or not await conversation.shrink():
                raise
            shrunk = True
            continue
        turn.usage += reply.usage
        turn.tell(events.UsageReported, model=request.model, usage=reply.usage)
        if reply.finish == "content_filter":
            raise ProviderError(
                "content_filter", "the provider's content filter stopped the answer"
            )
        if not reply.text and not reply.calls and not retried:
            retried = True
            continue
        calls = sound(reply.calls)
        if calls != reply.calls:
            turn.repetition.unreadable()
        said = assistant(reply.text, calls)
        await (conversation.keep(said) if reply.calls else conversation.end(said))
        if not reply.text and not reply.calls:
            turn.notice("empty_answer", "the model answered nothing, twice in a row")
        if reply.finish == "length":
            turn.notice("answer_cut", "the answer was cut at the model's output limit")
        return reply


async def _stream(
    turn: Turn, model: ChatModel, request: ChatRequest, conversation: Conversation
) -> Reply:
    message_id = ""
    parts: list[str] = []
    reply: Reply | None = None
    try:
        # Also what follows the reply: a generator that is left takes a task of its own to close.
        async for item in model.stream(request):
            if isinstance(item, Reply):
                reply = item
                continue
            if isinstance(item, Restarted):
                if message_id:
                    _cut_short(turn, message_id, parts)
                    turn.notice("answer_restarted", "the answer was cut off; it begins anew")
                    message_id, parts = "", []
                continue
            if not message_id:
                message_id = new_id("text")
                turn.tell(events.TextMessageStart, message_id=message_id)
            parts.append(item.text)
            turn.tell(
                events.TextMessageContent,
                message_id=message_id,
                content=item.text,
                delta=True,
            )
    except BaseException as error:
        if message_id:
            text = _cut_short(turn, message_id, parts)
            # What a human stopped stays said; what was cut off otherwise is asked for again.
            if isinstance(error, asyncio.CancelledError) and not turn.goes_on():
                await conversation.keep(assistant(text), partial=True)
        raise
    if reply is None:
        raise ProviderError(
            "provider_garbage", "the model's stream ended without a reply", retryable=True
        )
    if message_id:
        turn.tell(events.TextMessageEnd, message_id=message_id, full_content=reply.text)
    return reply


def _cut_short(turn: Turn, message_id: str, parts: list[str]) -> str:
    text = "".join(parts)
    turn.tell(events.TextMessageEnd, message_id=message_id, full_content=text, partial=True)
    return text
