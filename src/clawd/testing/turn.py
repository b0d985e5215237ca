"""One turn of the agent loop without a daemon, for tests of tools and of the loop itself.

::

    model, kept = SaidModel(Reply("hello")), KeptInMemory()
    await run_turn(Turn(...), model, kept, Toolset(bind(MyTools())))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from clawd.agent.history import unanswered
from clawd.agent.tool import fitting
from clawd.llm.port import ChatRequest, Item, Reply, TextDelta
from clawd.messages import ChatMessage, ToolCall, user

Said = Reply | Exception | list[Item | Exception]


class SaidModel:
    """A model that answers in the order of its script; a list is a stream, item by item."""

    def __init__(self, *script: Said) -> None:
        self._script = list(script)
        self.requests: list[ChatRequest] = []

    async def stream(self, request: ChatRequest) -> AsyncIterator[Item]:
        """Play the next step of the script."""
        self.requests.append(request)
        said = self._script.pop(0)
        for item in said if isinstance(said, list) else [said]:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, Reply) and item.text and not isinstance(said, list):
                yield TextDelta(item.text)
            yield item


@dataclass
class KeptInMemory:
    """A conversation that nobody stores."""

    messages: list[ChatMessage] = field(default_factory=lambda: [user("go")])
    partial: list[ChatMessage] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    shrinks: int = 0
    can_shrink: bool = True

    async def request(self, tools: tuple[Any, ...]) -> ChatRequest:
        """All that was kept."""
        return ChatRequest("m", tuple(self.messages), tools)

    async def shrink(self) -> bool:
        """Count that it was asked for."""
        self.shrinks += 1
        return self.can_shrink

    async def keep(self, *messages: ChatMessage, partial: bool = False) -> None:
        """Keep it in order; what a cancel cut off aside."""
        (self.partial if partial else self.messages).extend(messages)

    async def end(self, message: ChatMessage) -> None:
        """Keep the last word like any other."""
        await self.keep(message)

    async def fit(self, result: str) -> str:
        """Cut what is far too long."""
        return fitting(result)

    def open_calls(self) -> tuple[ToolCall, ...]:
        """The calls that have no result yet."""
        return unanswered(self.messages)

    async def hear(self) -> None:
        """Take in the lines of the user that wait."""
        lines, self.lines = self.lines, []
        self.messages += [user(line) for line in lines]

    def results(self) -> dict[str, str]:
        """The results of tools by the id of their call."""
        return {m.tool_call_id or "": m.content or "" for m in self.messages if m.role == "tool"}
