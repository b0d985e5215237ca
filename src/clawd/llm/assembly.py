"""Puts a streamed answer together: text, tool calls, how it ended, what it used."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from clawd.ids import new_id
from clawd.llm.port import Finish
from clawd.llm.wire import CallPart, Chunk, Tokens
from clawd.messages import Function, ToolCall

_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
}


class _Slot(msgspec.Struct):
    id: str
    name: str
    arguments: list[str]


class Assembly:
    """One answer while it comes in."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._slots: list[_Slot] = []
        self._at: dict[int, _Slot] = {}
        self._finish = ""
        self.size = 0
        """Characters of text and of arguments so far."""
        self.tokens: Tokens | None = None
        self.done = False

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._text)

    @property
    def begun(self) -> bool:
        """Whether the model has said or called anything yet."""
        return bool(self._text or self._slots)

    @property
    def finish(self) -> Finish | None:
        """How the model said that it ended; ``None`` as long as it has not."""
        if not self._finish:
            return None
        finish = _FINISHES.get(self._finish, "stop")
        # Some endpoints end an answer of calls with "stop".
        return "tool_calls" if finish == "stop" and self._slots else finish

    def take(self, chunk: Chunk) -> str:
        """Add a chunk; the text that it brought."""
        if chunk.usage is not None:
            self.tokens = chunk.usage
        new = ""
        for choice in chunk.choices or ():
            if choice.index:
                continue
            delta = choice.delta
            if delta is not None:
                text = delta.content or delta.refusal
                if text:
                    self._text.append(text)
                    self.size += len(text)
                    new += text
                for part in delta.tool_calls or ():
                    self._take_call(part)
            if choice.finish_reason:
                self._finish = choice.finish_reason
        return new

    def _take_call(self, part: CallPart) -> None:
        name = part.function.name if part.function is not None else None
        slot = self._at.get(part.index) if part.index is not None else None
        if slot is None and part.index is None and self._slots and not part.id and not name:
            slot = self._slots[-1]
        # A new id with a name at an index that was used is another call, not more of the same.
        if slot is None or (part.id and slot.id and part.id != slot.id and name):
            slot = _Slot("", "", [])
            self._slots.append(slot)
            if part.index is not None:
                self._at[part.index] = slot
        slot.id = slot.id or part.id or ""
        slot.name = slot.name or name or ""
        if part.function is not None and part.function.arguments:
            slot.arguments.append(part.function.arguments)
            self.size += len(part.function.arguments)

    def calls(self, used: Callable[[str], bool]) -> tuple[ToolCall, ...]:
        """The calls, each with an id that no other has, and that was not ``used`` before.

        A call without a name is left out; arguments stay as the model wrote them, and none at
        all are an empty object.
        """
        seen: set[str] = set()
        calls: list[ToolCall] = []
        for slot in self._slots:
            if not slot.name:
                continue
            fresh = slot.id and slot.id not in seen and not used(slot.id)
            call_id = slot.id if fresh else new_id("call")
            seen.add(call_id)
            calls.append(ToolCall(call_id, Function(slot.name, "".join(slot.arguments) or "{}")))
        return tuple(calls)

    @property
    def nameless(self) -> int:
        """How many calls had no name."""
        return sum(not slot.name for slot in self._slots)
