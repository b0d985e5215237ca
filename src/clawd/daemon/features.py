"""The optional parts of the daemon: the only place that names them.

A part is taken out by deleting its folder, its block in the configuration, its line here, its
routes and its tests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawd.agent.tool import Tool
from clawd.agent.workbench import Toolkit, Workbench
from clawd.comms.caller import operator
from clawd.daemon.heartbeats import OperatorInbox
from clawd.events import ToolCallError
from clawd.ledger.account import Account
from clawd.net.on_demand import OnDemand
from clawd.sessions.scheduling import ScheduledTurns
from clawd.tools.curiosity.toolkit import Curiosity
from clawd.tools.exec.kit import Exec
from clawd.tools.files.kit import Files
from clawd.tools.mcp.toolkit import Mcp
from clawd.tools.memory.toolkit import Memory
from clawd.tools.own.toolkit import OwnTools
from clawd.tools.schedule.kit import Schedules
from clawd.tools.schedule.records import FILE_NAME as SCHEDULES
from clawd.tools.skills.toolkit import Skills
from clawd.tools.web.toolkit import Web

if TYPE_CHECKING:
    from clawd.daemon.app import Daemon


@dataclass(frozen=True, slots=True)
class Features:
    """What the daemon was built with besides sessions, messages and tasks."""

    toolkits: tuple[Toolkit, ...] = ()
    logs: tuple[str, ...] = ()
    """The names of logs that parts keep in workspaces."""

    async def close(self) -> None:
        """End what the parts run, within a few seconds."""
        for kit in self.toolkits:
            await kit.close()


def payer_of(bench: Workbench) -> Account:
    """Who pays for what a group of tools asks of a model."""
    return Account(
        bench.session,
        bench.lineage.trace,
        bench.turn,
        bench.task,
        bench.settings.role,
        budget=bench.lineage.budget,
    )


def features(daemon: Daemon, home: Path) -> Features:
    """Build the parts from what the daemon has so far: storage, bus, stream, configuration."""
    emit = daemon.stream.publish

    def offered(session_id: str) -> dict[str, Tool]:
        session = daemon.sessions.find(session_id)
        return {t.name: t for t in session.toolset(operator()).all()} if session else {}

    schedules = Schedules(
        ScheduledTurns(lambda: daemon.sessions, daemon.bus),
        OperatorInbox(daemon.comms.post),
        daemon.writer,
        daemon.comms.limits,
        emit,
        daemon.supervisor.later,
        daemon.sealing,
    )
    daemon.stream.observe(schedules.see, *schedules.sees)
    curiosity = Curiosity(emit, daemon.supervisor.later, schedules)
    daemon.stream.observe(curiosity.failures, ToolCallError)
    return Features(
        toolkits=(
            Files(),
            Exec(home, daemon.supervisor.spawn, emit),
            Web(OnDemand(), home, daemon.redactor),
            Skills(home, emit),
            Mcp(home, daemon.writer, daemon.supervisor, emit, os.environ),
            schedules,
            Memory(
                daemon.state,
                emit,
                daemon.supervisor.spawn,
                lambda bench: daemon.models.embedder(bench.settings, payer_of(bench)),
                daemon.redactor.text,
            ),
            curiosity,
            # Last: a name that is taken stays with whom it is.
            OwnTools(home, emit, offered),
        ),
        logs=(SCHEDULES,),
    )
