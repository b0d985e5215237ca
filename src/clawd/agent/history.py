"""Keeping a conversation valid: every tool call has exactly one result, right behind it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from clawd.messages import ChatMessage, ToolCall, tool_result

INTERRUPTION = {
    "error": "interrupted",
    "message": "interrupted, outcome unknown: the call may or may not have had its effect",
    "hint": "check before you call it again",
}
INTERRUPTED = msgspec.json.encode(INTERRUPTION).decode()
"""The result of a call that was cut off, while its turn goes on later; it is never run again by
itself."""
WAITING = "[clawd: this call waits for your human, and was not made so far]"
"""What stands for the result of a call that may still be made, in the turns of others."""


def unanswered(messages: Sequence[ChatMessage]) -> tuple[ToolCall, ...]:
    """The calls at the end of a conversation that have no result yet."""
    answered: set[str] = set()
    for message in reversed(messages):
        if message.role == "tool" and message.tool_call_id:
            answered.add(message.tool_call_id)
        elif message.role == "assistant":
            return tuple(call for call in message.tool_calls if call.id not in answered)
        else:
            break
    return ()


def mended(messages: Sequence[ChatMessage], waiting: Collection[str] = ()) -> list[ChatMessage]:
    """The conversation as a strict endpoint accepts it.

    A call without a result gets one that says that it was interrupted, or that it waits when its
    id is among ``waiting``; a result without its call, and a second one for it, are left out.
    """

    def standing_in(call: ToolCall) -> ChatMessage:
        return tool_result(call, WAITING if call.id in waiting else INTERRUPTED)

    valid: list[ChatMessage] = []
    open_calls: dict[str, ToolCall] = {}
    for message in messages:
        # Every request goes through here, with all that was ever said.
        if not open_calls and not message.tool_calls and message.role != "tool":
            valid.append(message)
            continue
        if message.role == "tool":
            if message.tool_call_id in open_calls:
                del open_calls[message.tool_call_id]
                valid.append(message)
            continue
        if open_calls:
            valid += map(standing_in, open_calls.values())
            open_calls = {}
        if message.tool_calls:
            open_calls = {call.id: call for call in message.tool_calls}
        valid.append(message)
    valid += map(standing_in, open_calls.values())
    return valid


def sound(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls as a strict endpoint takes them back: arguments that are no JSON object are {}.

    What the model really wrote is told to it in the call's result.
    """
    return tuple(
        call
        if _is_object(call.function.arguments)
        else msgspec.structs.replace(
            call, function=msgspec.structs.replace(call.function, arguments="{}")
        )
        for call in calls
    )


def restored(message: ChatMessage) -> ChatMessage:
    """A message from a file, where anything may stand, as a strict endpoint can take it.

    Calls without id or name, a second call with an id, and calls of anyone but the assistant are
    left out; arguments are made sound; content that must be there is there.
    """
    calls: tuple[ToolCall, ...] = ()
    if message.tool_calls and message.role == "assistant":
        named = {call.id: call for call in message.tool_calls if call.id and call.function.name}
        calls = sound(tuple(named.values()))
    content = message.content
    if content is None and not calls:
        content = ""
    if calls == message.tool_calls and content == message.content:
        return message
    return msgspec.structs.replace(message, tool_calls=calls, content=content)


def calls_made(messages: Sequence[ChatMessage]) -> dict[str, tuple[str, bool]]:
    """The calls that have a result: id → the tool's name, and whether it succeeded."""
    names = {call.id: call.function.name for m in messages for call in m.tool_calls}
    return {
        m.tool_call_id: (names[m.tool_call_id], not _is_error(m.content or ""))
        for m in messages
        if m.tool_call_id is not None and m.tool_call_id in names
    }


def _is_error(content: str) -> bool:
    return content.startswith('{"error":') and _is_object(content)


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
