"""Running the calls of one reply: side by side, each with exactly one result."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import msgspec

from clawd import events
from clawd.agent.calling import ParkedCall, calling
from clawd.agent.history import INTERRUPTION
from clawd.agent.tool import parse_arguments
from clawd.agent.toolset import Toolset
from clawd.agent.turn import Turn
from clawd.errors import ClawdError
from clawd.messages import JSON, ChatMessage, ToolCall, tool_result

CANCELLED = {"error": "cancelled", "message": "the turn was cancelled"}


class Keeper(Protocol):
    """Where results go."""

    async def keep(self, *messages: ChatMessage) -> None:
        """Add to the transcript; durable no later than what follows them."""
        ...

    async def fit(self, result: str) -> str:
        """A result as it is to be shown; what is too long is cut, and kept whole elsewhere."""
        ...


class Standstill(Exception):
    """These calls (by id) wait for a human; the others of the reply have their results."""

    def __init__(self, calls: tuple[str, ...]) -> None:
        super().__init__()
        self.calls = calls


async def run_tools(
    turn: Turn, conversation: Keeper, tools: Toolset, calls: tuple[ToolCall, ...]
) -> None:
    """Run the calls side by side; each has exactly one result, also when the turn is cancelled.

    Those that a human has yet to decide on have it when the turn goes on.
    """
    results: dict[str, str] = {}
    parked: list[str] = []

    async def run(call: ToolCall, warning: str) -> None:
        try:
            result = await _run_tool(turn, conversation, tools, call)
        except ParkedCall:
            parked.append(call.id)
        else:
            results[call.id] = result + warning

    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(run(call, _repeated(turn, call)))
    finally:
        cancelled = msgspec.json.encode(_cut_off(turn)).decode()
        await conversation.keep(
            *(
                tool_result(call, results.get(call.id, cancelled))
                for call in calls
                if call.id not in parked
            )
        )
    if parked:
        raise Standstill(tuple(parked))


async def _run_tool(turn: Turn, conversation: Keeper, tools: Toolset, call: ToolCall) -> str:
    began = time.perf_counter()
    name, written = call.function.name, call.function.arguments
    try:
        arguments, unreadable = parse_arguments(written), None
    except ClawdError as error:
        arguments, unreadable = {}, error
    # What cannot be read is shown as it was written: every call has its start and its end.
    shown = written if unreadable else arguments
    turn.tell(events.ToolCallStart, tool_call_id=call.id, tool_name=name, arguments=shown)
    try:
        if unreadable is not None:
            raise unreadable
        with calling(call.id, lambda text: _progress(turn, call, text)):
            answer = await tools.run(name, call.id, arguments, turn.trust)
        result = await conversation.fit(answer.render())
    except ParkedCall:
        _progress(turn, call, "waits for your word")
        raise
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
    turn.tell(
        events.ToolCallEnd,
        tool_call_id=call.id,
        tool_name=name,
        result=result,
        duration_ms=spent,
        success=True,
    )
    return result


def _progress(turn: Turn, call: ToolCall, text: str) -> None:
    turn.tell(events.ToolCallProgress, tool_call_id=call.id, message=text)


def _cut_off(turn: Turn) -> JSON:
    """What a call that was cancelled is answered with."""
    return INTERRUPTION if turn.goes_on() else CANCELLED


def _tool_failed(turn: Turn, call: ToolCall, error: JSON, began: float) -> str:
    name = call.function.name
    turn.done[call.id] = (name, False)
    turn.repetition.ended(succeeded=False)
    spent = _milliseconds(began)
    turn.tell(
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
    turn.notice("repeated_call", f"{turn.session} repeats itself: {warning}")
    return f"\n{warning}"


def _milliseconds(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
