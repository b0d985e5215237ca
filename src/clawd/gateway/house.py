"""What the edge needs of the daemon, named here so that nothing points upwards."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, TypeVar

from clawd.agent.workbench import Toolkit
from clawd.approvals.desk import Desk
from clawd.comms.manager import SessionCommsManager
from clawd.config.problem import Path
from clawd.config.schema import Config
from clawd.ledger.ledger import Ledger
from clawd.messages import JSON
from clawd.secrets import Redactor
from clawd.sessions.manager import SessionManager
from clawd.sessions.models import ConfiguredModels
from clawd.sessions.tracing import Tracing
from clawd.stream import EventStream

Part = TypeVar("Part", bound=Toolkit)


class House(Protocol):
    """The daemon as the edge sees it."""

    @property
    def sessions(self) -> SessionManager:
        """All sessions."""
        ...

    @property
    def comms(self) -> SessionCommsManager:
        """Messages and tasks."""
        ...

    @property
    def desk(self) -> Desk:
        """What waits for the human."""
        ...

    @property
    def stream(self) -> EventStream:
        """The one stream."""
        ...

    @property
    def models(self) -> ConfiguredModels:
        """The models by template."""
        ...

    @property
    def ledger(self) -> Ledger:
        """What model calls used."""
        ...

    @property
    def config(self) -> Config:
        """The configuration in force."""
        ...

    async def lines_of(self, paths: Collection[Path]) -> dict[Path, int]:
        """The lines of ``config.json`` where these are written, of those that are."""
        ...

    @property
    def redactor(self) -> Redactor:
        """What takes secrets out of answers."""
        ...

    @property
    def tracing(self) -> Tracing:
        """What causes led to."""
        ...

    def part(self, kind: type[Part]) -> Part | None:
        """The group of tools of this class; None when the daemon was built without it."""
        ...

    def status(self) -> JSON:
        """The facts of ``clawd status``."""
        ...

    def stop(self, drain_seconds: float = 0.0) -> None:
        """Begin to stop."""
        ...
