"""What a session is told of itself: its identity, and where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings
from clawd.events import Notice
from clawd.llm.tokens import estimate
from clawd.sessions.identity import Identity, read_identity, signature
from clawd.sessions.prompt import situation, stable_part
from clawd.sessions.services import Services


class Prompter:
    """Makes the system prompt of one session, anew for each turn."""

    def __init__(
        self, settings: Callable[[], SessionSettings], workspace: Path, services: Services
    ) -> None:
        self._settings = settings
        self._workspace = workspace
        self._services = services
        self._identity: Identity | None = None
        self._news: list[str] = []

    def tell(self, line: str) -> None:
        """One line for the next prompt: a visible session came or went."""
        self._news = [*self._news[-9:], line]

    def tokens(self) -> int:
        """About how many tokens the identity takes, as it was last read."""
        return sum(estimate(text) for _, text in self._identity.prompt()) if self._identity else 0

    async def identity(self) -> Identity:
        """The identity files as they are now."""
        settings = self._settings()
        limits = self._services.config().identity
        current = self._identity
        if (
            current is None
            or current.limits != limits
            or signature(self._workspace) != current.signature
        ):
            current = await asyncio.to_thread(read_identity, self._workspace, limits)
            known = set(self._identity.problems()) if self._identity else set()
            for problem in current.problems():
                if problem not in known:
                    self._services.emit(
                        Notice(session=settings.id, code="identity", text=problem, level="warning")
                    )
            self._identity = current
        return current

    async def parts(self, bench: Workbench) -> list[tuple[str, str]]:
        """The parts of the system prompt by name."""
        identity = await self.identity()
        return [
            *((name.lower(), text) for name, text in identity.prompt()),
            *(("skills", text) for text in await self._listed(bench)),
            ("situation", self._situation(bench, [])),
        ]

    async def _listed(self, bench: Workbench) -> list[str]:
        listed = [await kit.listed(bench) for kit in self._services.toolkits]
        return [text for text in listed if text]

    def _situation(self, bench: Workbench, news: list[str]) -> str:
        settings, comms = self._settings(), self._services.comms
        denied = ", ".join(settings.tools.deny)
        permissions = [kit.permission(bench) for kit in self._services.toolkits]
        permissions.append(f"These tools are denied to you: {denied}." if denied else "")
        return situation(
            settings.id,
            str(self._workspace),
            " ".join(text for text in permissions if text),
            comms.directory.find(settings.id),
            a2a=settings.a2a.enabled,
            unread=comms.post.box(settings.id).unread(),
            open_tasks=len(comms.board.open_for(worker=settings.id)),
            news=news,
        )

    async def prompt(self, bench: Workbench, said: str) -> str:
        """The system prompt of the turn that begins now, which ``said`` started."""
        news, self._news = self._news, []
        parts = [
            stable_part(await self.identity()),
            *await self._listed(bench),
            self._situation(bench, news),
            *[await kit.recalled(bench, said) for kit in self._services.toolkits],
        ]
        return self._services.hide("\n\n".join(part for part in parts if part))
