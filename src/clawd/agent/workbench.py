"""What a group of tools is told of the turn that it works in, and what it offers a session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clawd.agent.tool import Tool
from clawd.agent.trust import Trust
from clawd.config.schema import SessionSettings
from clawd.lineage import Lineage


@dataclass(frozen=True, slots=True)
class Workbench:
    """The caller that tools are bound to: a session, where it works, and what led to this turn.

    ``settings`` are those in force when the tools were bound; ``turn`` is "" outside a turn, on
    the operator's word; ``trigger`` the kind of what started it. A tool that reads what came from
    outside marks ``trust``.
    """

    session: str
    workspace: Path
    settings: SessionSettings
    lineage: Lineage
    turn: str = ""
    task: str = ""
    trigger: str = ""
    trust: Trust = field(default_factory=Trust)


@dataclass(frozen=True, slots=True)
class Place:
    """A session as a toolkit that works beside its turns knows it."""

    settings: SessionSettings
    workspace: Path

    @property
    def id(self) -> str:
        """The session's id."""
        return self.settings.id


class Toolkit:
    """A group of tools that sessions may have; a part of the daemon that can be left out.

    Each method has an answer for a group that has nothing to say.
    """

    async def prepare(self, bench: Workbench) -> None:
        """A turn is about to begin: what its tools need is made ready, within a few seconds."""

    def tools(self, bench: Workbench) -> dict[str, Tool]:
        """The tools of this session by name, bound; none when its settings turn them off."""
        return {}

    def permission(self, bench: Workbench) -> str:
        """One sentence for the system prompt on what these tools may do; "" for none."""
        return ""

    async def listed(self, bench: Workbench) -> str:
        """A part of the system prompt that stays the same from turn to turn; "" for none."""
        return ""

    async def recalled(self, bench: Workbench, said: str) -> str:
        """A part of the system prompt for this turn, which ``said`` started; "" for none."""
        return ""

    def remembers(self, bench: Workbench) -> bool:
        """Whether the model is asked for facts to keep when older history is summarised."""
        return False

    async def remember(self, bench: Workbench, facts: Sequence[str]) -> None:
        """Keep these facts of a conversation that was summarised; what fails here is told here."""

    async def settle(self, places: Iterable[Place]) -> None:
        """The sessions that there are from now on: at the start, and after each change."""

    async def close(self) -> None:
        """The daemon stops: end what runs, within a few seconds."""
