"""What every session is given from outside: it looks nothing up by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from clawd.agent.workbench import Toolkit
from clawd.approvals.desk import Desk
from clawd.bus.port import MessageBus
from clawd.comms.clock import Clock
from clawd.comms.manager import SessionCommsManager
from clawd.config.schema import Config, SessionSettings
from clawd.events import Event
from clawd.ledger.account import Account
from clawd.llm.port import ChatModel
from clawd.messages import Usage
from clawd.sessions.gate import Gate
from clawd.sessions.records import Record, blank
from clawd.storage.sealing import Sealer, Sealing
from clawd.storage.writer import Writer


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model that serves a turn, its name, and how many tokens it reads at most."""

    model: ChatModel
    name: str
    window: int


class Models(Protocol):
    """Finds the model of a session."""

    async def choose(self, settings: SessionSettings, account: Account) -> Chosen:
        """The model for a session's next turn; ``ProviderError`` when its template is held."""
        ...

    async def used(self, turn: str) -> Usage:
        """What the model calls of a turn have used, before the last start of the daemon too."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms below, as a session uses them."""

    comms: SessionCommsManager
    bus: MessageBus
    writer: Writer
    clock: Clock
    gate: Gate
    models: Models
    config: Callable[[], Config]
    emit: Callable[[Event], object]
    desk: Desk
    hide: Callable[[str], str] = str
    """Takes secrets out of a text that a model is to read."""
    sealing: Sealing | None = None
    toolkits: tuple[Toolkit, ...] = ()
    """The groups of tools besides those of messages and tasks."""

    def sealer(self, session_id: str) -> Sealer[Record] | None:
        """What seals the transcript of a session; it asks each time whether it is to."""
        if self.sealing is None:
            return None
        sealer: Sealer[Record] = self.sealing.sealer(blank, lambda _: (session_id,))
        return sealer
