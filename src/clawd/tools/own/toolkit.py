"""The operator's own tools as a group of tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from clawd.agent.tool import Tool
from clawd.agent.workbench import Place, Toolkit, Workbench
from clawd.events import Event, Notice
from clawd.lineage import begin
from clawd.tools.own.answering import told
from clawd.tools.own.loading import Loading
from clawd.tools.own.reference import bound

Offered = Callable[[str], Mapping[str, Tool]]
"""All tools of a session by name, those of other groups too."""


class OwnTools(Toolkit):
    """What `tools.load` names, from ``<home>/tools`` or from installed packages."""

    def __init__(self, home: Path, emit: Callable[[Event], object], offered: Offered) -> None:
        self._emit = emit
        self._offered = offered
        self._loading = Loading(home)
        self._problems: dict[str, list[str]] = {}

    async def prepare(self, bench: Workbench) -> None:
        """Read again what has changed."""
        if await self._loading.ensure(bench.settings.tools.load):
            self._tell(bench)

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """The functions, and the methods of classes made anew for this caller."""
        return self._bound(bench)[0]

    async def settle(self, places: Iterable[Place]) -> None:
        """Load what the sessions' settings name; problems are told, and nothing else stops."""
        there = [place for place in places if place.settings.tools.load]
        self._loading.keep(each for place in there for each in place.settings.tools.load)
        self._problems = {p.id: self._problems.get(p.id, []) for p in there}
        for place in there:
            await self._loading.ensure(place.settings.tools.load)
            self._tell(Workbench(place.id, place.workspace, place.settings, begin("operator")))

    def problems(self, session: str) -> list[str]:
        """What is wrong with the tools that a session's settings name, a line each."""
        return self._problems.get(session, [])

    def _bound(self, bench: Workbench) -> tuple[dict[str, Tool], list[str]]:
        tools: dict[str, Tool] = {}
        problems: list[str] = []
        for reference in bench.settings.tools.load:
            loaded = self._loading.get(reference)
            if loaded.problem:
                problems.append(loaded.problem)
            try:
                made = bound(loaded.targets, bench)
            except Exception as failure:  # noqa: BLE001 - an operator's constructor
                problems.append(f"tools.load {reference!a}: {told(failure)}")
                continue
            problems += [
                f"tools.load {reference!a}: there is another {name}, which keeps the name"
                for name in made
                if name in tools
            ]
            tools = made | tools
        return tools, problems

    def _taken(self, bench: Workbench, mine: Mapping[str, Tool]) -> list[str]:
        """The names that clawd's own tools keep."""
        every = self._offered(bench.settings.id)
        return [
            f"tools.load: {name} is a tool of clawd's own, which keeps the name: rename yours"
            for name, tool in mine.items()
            if name in every and every[name].declaration is not tool.declaration
        ]

    def _tell(self, bench: Workbench) -> None:
        tools, problems = self._bound(bench)
        problems += self._taken(bench, tools)
        for problem in problems:
            if problem not in self.problems(bench.settings.id):
                notice = Notice(
                    session=bench.settings.id, code="own_tools", text=problem, level="warning"
                )
                self._emit(notice)
        self._problems[bench.settings.id] = problems
