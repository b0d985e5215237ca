"""The tools of a session, bound to whoever calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from clawd.agent.tool import Tool, bind
from clawd.agent.toolset import Toolset
from clawd.agent.trust import Trust
from clawd.agent.workbench import Workbench
from clawd.approvals.review import Review
from clawd.approvals.tools import AskTools
from clawd.comms.caller import Caller
from clawd.comms.session_tools import SessionTools
from clawd.comms.task_tools import TaskTools
from clawd.comms.tools import MessageTools
from clawd.config.schema import SessionSettings
from clawd.sessions.conversation import Remember
from clawd.sessions.permission import permitted
from clawd.sessions.services import Services


class Toolsets:
    """Puts together what one session may call."""

    def __init__(
        self, settings: Callable[[], SessionSettings], workspace: Path, services: Services
    ) -> None:
        self._settings = settings
        self._workspace = workspace
        self._services = services

    def bench(self, caller: Caller) -> Workbench:
        """The caller as groups of tools know it."""
        settings = self._settings()
        return Workbench(
            # Whose tools they are, also where the operator is the one who looks at them.
            settings.id,
            self._workspace,
            settings,
            caller.lineage,
            caller.turn,
            caller.task or "",
            caller.trigger,
            caller.trust,
        )

    async def prepare(self, bench: Workbench) -> None:
        """Let every group make ready what a turn needs."""
        for kit in self._services.toolkits:
            await kit.prepare(bench)

    def remembering(self, caller: Caller) -> Remember | None:
        """What keeps facts of a conversation that is summarised; ``None`` where no group does."""
        bench = self.bench(caller)
        kits = [kit for kit in self._services.toolkits if kit.remembers(bench)]
        if not kits:
            return None

        async def remember(facts: Sequence[str], untrusted: bool) -> None:
            trust = Trust([*bench.trust.sources])
            if untrusted:
                trust.mark("an earlier part of the conversation")
            for kit in kits:
                await kit.remember(replace(bench, trust=trust), facts)

        return remember

    def toolset(self, caller: Caller) -> Toolset:
        """The tools, bound to the caller; what the settings take away is refused at once."""
        bench = self.bench(caller)
        tools = self._tools(bench, caller)

        def allowed(name: str) -> bool:
            now = self._settings()
            return permitted(now.tools, name) and (
                now is bench.settings or name in self._tools(replace(bench, settings=now), caller)
            )

        if not bench.turn:
            # On the operator's own word nobody needs to be asked.
            return Toolset(tools, allowed)
        return Toolset(tools, allowed, Review(self._services.desk, bench, self._settings))

    def _tools(self, bench: Workbench, caller: Caller) -> dict[str, Tool]:
        comms, desk = self._services.comms, self._services.desk
        tools = bind(AskTools(desk, bench))
        if bench.settings.a2a.enabled:
            tools |= bind(
                MessageTools(comms, caller), SessionTools(comms, caller), TaskTools(comms, caller)
            )
        for kit in self._services.toolkits:
            # What stands here already keeps its name: no server or module can take its place.
            tools = kit.tools(bench) | tools
        return tools
