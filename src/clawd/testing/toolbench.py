"""A place to try a tool: no daemon, no model, the same checks and the same errors.

::

    async with ToolBench(tmp_path) as bench:
        answer = await bench.call(forecast, city="Bern")
        assert answer.facts == {"city": "Bern", "sky": "clear"}
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clawd.agent.calling import calling
from clawd.agent.tool import Answer, Tool
from clawd.agent.toolset import unknown_tool
from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings
from clawd.errors import Invalid
from clawd.lineage import begin
from clawd.tools.own.answering import as_answer
from clawd.tools.own.reference import Target, bound, usable


class ToolBench:
    """Binds tools as a session would, and calls them as a model would.

    ``workspace`` is the session's folder. ``tools`` are functions and classes with ``@tool``; a
    function may also be given to ``call`` alone. ``settings`` are keys of a session, in Python
    (``tools={"exec": True}``).
    """

    def __init__(self, workspace: Path, *tools: Target, **settings: Any) -> None:
        self._targets = list(tools)
        self._settings = SessionSettings.model_validate({"id": "test", **settings})
        self._workspace = workspace
        self.progress: list[str] = []
        """What the calls told of their progress, in order."""
        self.bench = self._made()

    async def __aenter__(self) -> Self:
        self.bench = self._made()
        self.progress.clear()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    @property
    def untrusted(self) -> bool:
        """Whether a call has read text from outside."""
        return self.bench.trust.untrusted

    def tools(self) -> dict[str, Tool]:
        """The tools by name, bound."""
        for target in self._targets:
            usable(getattr(target, "__name__", repr(target)), target)
        return bound(self._targets, self.bench)

    async def call(self, which: Target | str, /, **arguments: Any) -> Answer:
        """What a call answers; ``which`` is a tool's name, or the function or method itself.

        The arguments are checked, the time is limited, and failures are the ``ClawdError`` whose
        ``code``, ``message`` and ``hint`` a model would read.
        """
        name = which if isinstance(which, str) else str(getattr(which, "__name__", which))
        tools = self.tools()
        if name not in tools and inspect.isfunction(which):
            usable(name, which)
            tools = bound([which], self.bench)
        if name not in tools:
            known: Invalid = unknown_tool(name, tools)
            raise known
        with calling("call-test", self.progress.append):
            answer = await tools[name].call(arguments)
        if tools[name].declaration.untrusted:
            self.bench.trust.mark(name)
        return as_answer(answer)

    def _made(self) -> Workbench:
        return Workbench("test", self._workspace, self._settings, begin("operator"), "turn-test")
