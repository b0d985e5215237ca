"""The one agent loop: model, tools, model … until the model has nothing more to call.

It never throws for a model's or a tool's failure: a turn's outcome is ``Finished`` or ``Failed``,
and whoever asked for it says so on the stream once that is on disk. A cancellation is recorded and
then goes on up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from clawd import events
from clawd.agent.history import INTERRUPTION, sound
from clawd.agent.repetition import Repetition
from clawd.agent.tool import Toolset, fitting, parse_arguments
from clawd.errors import ClawdError, ContextOverflow, GuardRefused, ProviderError
from clawd.ids import new_id
from clawd.llm.port import ChatModel, ChatRequest, Reply
from clawd.messages import JSON, ChatMessage, ToolCall, Usage, assistant, tool_result

CANCELLED = {"error": "cancelled", "message": "the turn was cancelled"}


class Conversation(Protocol):
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


@dataclass(slots=True)
class Turn:
    """One run of a session: who it is, where it reports, and what it has used so far.

    ``model_calls`` were made already, before the turn was cut off and went on.
    """

    id: str
    session: str
    trace: str
    emit: Callable[[events.Event], object]
    max_model_calls: int
    repetition: Repetition = field(default_factory=Repetition)
    usage: Usage = field(default_factory=Usage)
    done: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Tool calls that ended: call id → tool name, and whether it succeeded."""
    model_calls: int = 0
    goes_on: Callable[[], bool] = lambda: False
    """Whether the turn, when it is cancelled now, goes on later."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The model said its last word."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn ended without one."""

    error: ClawdError


async def run_turn(
    turn: Turn, model: ChatModel, conversation: Conversation, tools: Toolset
) -> Finished | Failed:
    """Run the loop from what the conversation holds to the final text."""
    offered = tuple(tool.declaration.encoded for tool in tools.all())
    try:
        for _ in range(turn.model_calls, turn.max_model_calls):
            await conversation.hear()
            reply = await _ask(turn, model, conversation, offered)
            if not reply.calls:
                return Finished(reply.text)
            await _run_tools(turn, conversation, tools, reply.calls)
            turn.repetition.check(turn.id)
        raise GuardRefused(
            "guard_model_calls_per_turn",
            f"this turn reached its limit of {turn.max_model_calls} model calls",
            limit=turn.max_model_calls,
            value=turn.max_model_calls,
            scope=f"turn {turn.id}",
            hint="raise limits.maxModelCallsPerTurn, or ask for less in one turn",
        )
    except ClawdError as error:
        if isinstance(error, GuardRefused):
            _notice(turn, error.code, error.message, error.as_json())
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
        _emit(turn, events.UsageReported, model=request.model, usage=reply.usage)
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
            _notice(turn, "empty_answer", "the model answered nothing, twice in a row")
        if reply.finish == "length":
            _notice(turn, "answer_cut", "the answer was cut at the model's output limit")
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
            if not message_id:
                message_id = new_id("text")
                _emit(turn, events.TextMessageStart, message_id=message_id)
            parts.append(item.text)
            _emit(
                turn,
                events.TextMessageContent,
                message_id=message_id,
                content=item.text,
                delta=True,
            )
    except BaseException as error:
        if message_id:
            text = "".join(parts)
            _emit(
                turn, events.TextMessageEnd, message_id=message_id, full_content=text, partial=True
            )
            # What a human stopped stays said; what was cut off otherwise is asked for again.
            if isinstance(error, asyncio.CancelledError) and not turn.goes_on():
                await conversation.keep(assistant(text), partial=True)
        raise
    if reply is None:
        raise ProviderError(
            "provider_garbage", "the model's stream ended without a reply", retryable=True
        )
    if message_id:
        _emit(turn, events.TextMessageEnd, message_id=message_id, full_content=reply.text)
    return reply


async def _run_tools(
    turn: Turn, conversation: Conversation, tools: Toolset, calls: tuple[ToolCall, ...]
) -> None:
    """Run the calls side by side; each has exactly one result, also when the turn is cancelled."""
    results: dict[str, str] = {}

    async def run(call: ToolCall, warning: str) -> None:
        results[call.id] = await _run_tool(turn, tools, call) + warning

    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(run(call, _repeated(turn, call)))
    finally:
        cancelled = msgspec.json.encode(_cut_off(turn)).decode()
        await conversation.keep(
            *(tool_result(call, results.get(call.id, cancelled)) for call in calls)
        )


async def _run_tool(turn: Turn, tools: Toolset, call: ToolCall) -> str:
    began = time.perf_counter()
    name, written = call.function.name, call.function.arguments
    try:
        arguments, unreadable = parse_arguments(written), None
    except ClawdError as error:
        arguments, unreadable = {}, error
    # What cannot be read is shown as it was written: every call has its start and its end.
    shown = written if unreadable else arguments
    _emit(turn, events.ToolCallStart, tool_call_id=call.id, tool_name=name, arguments=shown)
    try:
        if unreadable is not None:
            raise unreadable
        result = fitting((await tools.get(name).call(arguments)).render())
    except ClawdError as error:
        return _tool_failed(turn, call, error.as_json(), began)
    except asyncio.CancelledError:
        _tool_failed(turn, call, _cut_off(turn), began)
        raise
    except BaseException as exception:  # noqa: BLE001 - a tool's bug is the model's to know, not ours to die of
        bug = {"error": "tool_failed", "message": f"{type(exception).__name__}: {exception}"}
        return _tool_failed(turn, call, bug, began)
    turn.done[call.id] = (name, True)
    turn.repetition.ended(succeeded=True)
    spent = _milliseconds(began)
    _emit(
        turn,
        events.ToolCallEnd,
        tool_call_id=call.id,
        tool_name=name,
        result=result,
        duration_ms=spent,
        success=True,
    )
    return result


def _cut_off(turn: Turn) -> JSON:
    """What a call that was cancelled is answered with."""
    return INTERRUPTION if turn.goes_on() else CANCELLED


def _tool_failed(turn: Turn, call: ToolCall, error: JSON, began: float) -> str:
    name = call.function.name
    turn.done[call.id] = (name, False)
    turn.repetition.ended(succeeded=False)
    spent = _milliseconds(began)
    _emit(
        turn,
        events.ToolCallError,
        tool_call_id=call.id,
        tool_name=name,
        error=error,
        duration_ms=spent,
    )
    return msgspec.json.encode(error).decode()


def _repeated(turn: Turn, call: ToolCall) -> str:
    warning = turn.repetition.warning(call)
    if not warning:
        return ""
    _notice(turn, "repeated_call", f"{turn.session} repeats itself: {warning}")
    return f"\n{warning}"


def _milliseconds(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _notice(turn: Turn, code: str, text: str, guard: JSON | None = None) -> None:
    turn.emit(
        events.Notice(
            session=turn.session,
            trace=turn.trace,
            code=code,
            text=text,
            level="warning",
            guard=guard,
            parent=turn.id,
        )
    )


def _emit(turn: Turn, kind: type[events.RunEvent], **fields: object) -> None:
    turn.emit(kind(session=turn.session, trace=turn.trace, run_id=turn.id, **fields))
