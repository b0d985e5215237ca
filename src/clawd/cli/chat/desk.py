"""What the slash commands have at hand, and how they say something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clawd.cli.chat.lines import Line, View
from clawd.cli.client import Client
from clawd.cli.nearest import quoted


@dataclass(frozen=True)
class Desk:
    """What a command has at hand."""

    client: Client
    session: str
    view: View

    @property
    def path(self) -> str:
        """The session in the API."""
        return f"/api/sessions/{quoted(self.session)}"


Handler = Callable[[Desk, str], list[Line]]


def said(text: str, style: str = "") -> Line:
    """A line of one text."""
    return ((text, style),)
