"""The tools of one turn, and the one way in which a call of a model reaches one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from clawd.agent.tool import Answer, Tool
from clawd.agent.trust import Trust
from clawd.errors import Invalid, Refused
from clawd.messages import JSON
from clawd.nearest import nearest

Review = Callable[[Tool, str, JSON], Awaitable[object]]
"""Looks at a call (tool, call id, checked arguments) before it runs.

Raises ``Refused`` where it may not run, ``ParkedCall`` where a human has yet to say so.
"""


async def _unseen(_tool: Tool, _call: str, _given: JSON) -> None:
    """Nobody looks at the calls."""


class Toolset:
    """The tools of one turn; what is permitted is asked for the list *and* at each call."""

    def __init__(
        self,
        tools: dict[str, Tool],
        permitted: Callable[[str], bool] = lambda _: True,
        review: Review = _unseen,
    ) -> None:
        self._tools = tools
        self._permitted = permitted
        self._review = review

    async def run(self, name: str, call_id: str, arguments: JSON, trust: Trust) -> Answer:
        """Run a call once it is known, permitted, well formed and looked at.

        ``trust`` is marked when the tool brings text from outside, be it in its error.
        """
        tool = self.get(name)
        given = tool.check(arguments)
        await self._review(tool, call_id, given)
        if tool.declaration.untrusted:
            trust.mark(name)
        return await tool.run(given)

    def names(self) -> list[str]:
        """The tools that may be called now."""
        return [name for name in self._tools if self._permitted(name)]

    def known(self) -> list[str]:
        """All tools, those too that are denied."""
        return list(self._tools)

    def all(self) -> list[Tool]:
        """The permitted tools."""
        return [self._tools[name] for name in self.names()]

    def get(self, name: str) -> Tool:
        """A tool by name; ``Invalid`` for an unknown one, ``Refused`` for one that is denied."""
        if name not in self._tools:
            raise unknown_tool(name, self.names())
        if not self._permitted(name):
            raise Refused(
                "tool_denied",
                f"this session may not use {name}",
                hint=f"tools: {', '.join(self.names())}",
            )
        return self._tools[name]


def unknown_tool(name: str, known: Iterable[str]) -> Invalid:
    """The error for a call of a tool that this session does not have."""
    names = sorted(known)
    near = nearest(name, names)
    hint = f"did you mean {near}? " if near else ""
    return Invalid(
        "unknown_tool",
        f"there is no tool named {name[:80]!r}",
        hint=f"{hint}tools: {', '.join(names) or 'none'}",
    )
