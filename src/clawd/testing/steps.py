"""What a scripted model does with one request: answers, calls tools, or fails in a chosen way."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clawd.testing.answer import Answer

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
"""What a step reports unless it is given something else; ``None`` reports nothing."""

_numbers = itertools.count(1)

Play = Callable[[Answer], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """One reaction to one request."""

    name: str
    play: Play
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Call:
    """One tool call inside an answer; ``arguments`` is the text as the model would write it."""

    tool: str | None
    arguments: str
    id: str | None

    def message(self) -> dict[str, Any]:
        """The call in a message that is not streamed."""
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.tool, "arguments": self.arguments},
        }

    def deltas(self, index: int) -> list[dict[str, Any]]:
        """The call in pieces, as models stream it."""
        function = {"name": self.tool, "arguments": ""}
        first: dict[str, Any] = {"index": index, "type": "function", "function": function}
        if self.id is not None:
            first["id"] = self.id
        size = max(1, len(self.arguments) // 3)
        pieces = [self.arguments[at : at + size] for at in range(0, len(self.arguments), size)]
        return [first, *({"index": index, "function": {"arguments": piece}} for piece in pieces)]


class Gate:
    """Holds an answer back until the test opens it."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let the answer go on."""
        self._open.set()

    async def reached(self, seconds: float = 10) -> None:
        """Wait until a request stands at the gate."""
        async with asyncio.timeout(seconds):
            await self._reached.wait()

    async def passage(self) -> None:
        """Wait at the gate (called by the server)."""
        self._reached.set()
        await self._open.wait()


def say(text: str, usage: Mapping[str, Any] | None = USAGE, finish: str = "stop") -> Step:
    """A text, word by word."""

    async def play(answer: Answer) -> None:
        if not answer.streamed:
            answer.message({"role": "assistant", "content": text}, finish, usage)
            return
        _begin(answer)
        for word in words(text):
            answer.delta({"content": word})
        answer.delta({}, finish)
        answer.end(usage)

    return Step(f"say {text!r}", play)


def length(text: str) -> Step:
    """A text that ends because the output limit was reached."""
    return say(text, finish="length")


def empty() -> Step:
    """An answer without a word."""
    return say("")


def tool(name: str | None, arguments: str, id: str | None = None) -> Call:
    """One call for ``calls``, with its arguments as text."""
    return Call(name, arguments, id or f"call_{next(_numbers)}")


def call(name: str, /, **arguments: Any) -> Step:
    """One tool call."""
    return calls(tool(name, json.dumps(arguments, ensure_ascii=False)))


def raw_call(name: str | None, arguments: str, id: str | None = None) -> Step:
    """One tool call with the arguments as they stand; without ``id`` it is sent without one."""
    return calls(Call(name, arguments, id))


def calls(*parallel: Call | Step, text: str = "", usage: Mapping[str, Any] | None = USAGE) -> Step:
    """Several tool calls in one answer; takes ``tool(...)`` and single ``call(...)`` alike."""
    listed = [
        one for item in parallel for one in ([item] if isinstance(item, Call) else item.calls)
    ]

    async def play(answer: Answer) -> None:
        if not answer.streamed:
            message = {
                "role": "assistant",
                "content": text or None,
                "tool_calls": [c.message() for c in listed],
            }
            answer.message(message, "tool_calls", usage)
            return
        _begin(answer)
        for word in words(text):
            answer.delta({"content": word})
        for index, one in enumerate(listed):
            for piece in one.deltas(index):
                answer.delta({"tool_calls": [piece]})
        answer.delta({}, "tool_calls")
        answer.end(usage)

    return Step(f"call {', '.join(str(one.tool) for one in listed)}", play, tuple(listed))


def slow(text: str, gate: Gate) -> Step:
    """The first word at once, the others when the gate is opened."""

    async def play(answer: Answer) -> None:
        _begin(answer)
        first, *rest = words(text)
        answer.delta({"content": first})
        await answer.flush()
        await gate.passage()
        for word in rest:
            answer.delta({"content": word})
        answer.delta({}, "stop")
        answer.end(USAGE)

    return Step(f"slow {text!r}", play)


def words(text: str) -> list[str]:
    """The text in pieces that each end with the space after a word."""
    pieces = text.split(" ")
    return [f"{piece} " for piece in pieces[:-1]] + pieces[-1:] if text else []


def _begin(answer: Answer) -> None:
    answer.delta({"role": "assistant", "content": ""})
