"""The group of tools for commands, off unless ``tools.exec`` is set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from clawd.agent.tool import Tool, bind
from clawd.agent.workbench import Place, Toolkit, Workbench
from clawd.errors import ClawdError
from clawd.events import Event, Notice
from clawd.sandbox.workspace import furnish
from clawd.tools.exec.background import Background, Spawn
from clawd.tools.exec.tools import ExecTools

UNCONFINED = (
    "commands run WITHOUT a sandbox, as the user of the daemon (tools.execSandbox is none): they"
    " can read and change everything that this user can"
)


class Exec(Toolkit):
    """Commands in a sandbox; those in the background are ended with it."""

    def __init__(self, home: Path, spawn: Spawn, emit: Callable[[Event], object]) -> None:
        self._home = home
        self._emit = emit
        self._background = Background(spawn)
        self._workspaces: dict[str, Path] = {}
        self._told: set[str] = set()
        self._furnished: set[Path] = set()

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """``exec`` and its kin, when the session may."""
        if not bench.settings.tools.exec:
            return {}
        others = [path for id, path in self._workspaces.items() if id != bench.session]
        return bind(ExecTools(self._home, others, self._background, bench))

    def permission(self, bench: Workbench) -> str:
        """Where commands run, and what they reach."""
        tools = bench.settings.tools
        if not tools.exec:
            return ""
        if tools.exec_sandbox == "none":
            return f"Your {UNCONFINED}. Be careful."
        network = (
            "with network when a call asks for it" if tools.exec_network else "without network"
        )
        return (
            f"You may run commands: in a sandbox that shows the system read-only and your "
            f"workspace, {network}, for {tools.exec_seconds:g} s and {tools.exec_memory_mib} MiB "
            "at most."
        )

    async def recalled(self, bench: Workbench, said: str) -> str:
        """The commands that run in the background."""
        running = [job for job in self._background.of(bench.session) if not job.over.is_set()]
        lines = [f"- {job.id}: {job.command.splitlines()[0][:200]}" for job in running]
        return "\n".join(["Your commands in the background:", *lines]) if lines else ""

    async def settle(self, places: Iterable[Place]) -> None:
        """End the commands of sessions that are gone, or that may run none any more."""
        there = list(places)
        self._workspaces = {place.id: place.workspace for place in there}
        allowed = {place.id for place in there if place.settings.tools.exec}
        for place in there:
            if place.id not in allowed:
                continue
            if place.settings.tools.exec_sandbox == "none":
                self._warn(place.id)
            elif place.workspace not in self._furnished and place.workspace.is_dir():
                self._furnished.add(place.workspace)
                # Now, and not before the first command: a new identity file is an event.
                with suppress(ClawdError, OSError):
                    await asyncio.to_thread(furnish, place.workspace)
        await self._background.settle(allowed)

    async def close(self) -> None:
        """End all that runs in the background."""
        await self._background.close()

    def _warn(self, session: str) -> None:
        if session not in self._told:
            self._told.add(session)
            self._emit(
                Notice(
                    code="exec_unconfined",
                    text=f"{session}: {UNCONFINED}",
                    level="warning",
                    session=session,
                )
            )
