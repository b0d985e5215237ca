"""What it takes to create a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SessionCreation:
    """A request for a new session; ``identity`` maps file names to contents (missing: built in)."""

    id: str
    template: str
    name: str
    description: str = ""
    model: str | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    role: str = "hybrid"
    capabilities: tuple[str, ...] = ()
    a2a: bool = True
    hidden: bool = False
