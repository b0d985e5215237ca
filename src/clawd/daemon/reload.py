"""Hot reload: what the operator saves takes effect within two seconds, or changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from clawd.config.last_good import load_last_good, save_last_good
from clawd.config.loader import Checked, check, load
from clawd.config.problem import dotted
from clawd.config.schema import Config
from clawd.config.watch import FolderWatch
from clawd.errors import ConfigError
from clawd.events import Event, Notice
from clawd.sessions.manager import SessionManager
from clawd.storage.files import atomic_write

CONFIG = "config.json"


class Configuration:
    """The configuration in force, and what is wrong with the file if it is not that one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = Config()
        self.problems: list[str] = []
        self.state = "ok"

    def load(self) -> None:
        """Read the file (blocking); a broken one leaves the last good one in force.

        Raises ``ConfigError`` when there is no configuration to go on with.
        """
        checked = load(self.home, os.environ)
        if checked.config is not None:
            self._take(checked, checked.config)
            return
        text = load_last_good(self.home)
        last = check(text, environ=os.environ, home=self.home) if text is not None else None
        if last is None or last.config is None:
            lines = "\n".join(str(problem) for problem in checked.errors)
            raise ConfigError("invalid_config", lines, hint="mend the file, or run: clawd init")
        self.config = last.config
        self._keep_going(checked)

    def reload(self) -> bool:
        """Read the file again (blocking); whether it is in force now."""
        checked = load(self.home, os.environ)
        if checked.config is None:
            self._keep_going(checked)
            return False
        self._take(checked, checked.config)
        return True

    def _take(self, checked: Checked, config: Config) -> None:
        self.config = config
        self.state = "ok"
        self.problems = [str(p) for p in checked.warnings if p.path not in _idle_keys(config)]
        save_last_good(
            self.home, (self.home / CONFIG).read_text(encoding="utf-8-sig"), atomic_write
        )

    def _keep_going(self, checked: Checked) -> None:
        self.state = "last good"
        self.problems = [str(problem) for problem in checked.errors]


def _idle_keys(config: Config) -> set[str]:
    """The keys of templates that no session uses: nobody misses them, so nobody is told."""
    used = {config.template_of(session).id for session in config.sessions.values()}
    used |= {config.fallback_of(session) or "" for session in config.sessions.values()}
    used |= {
        config.provider_templates[i].fallback or "" for i in used & {*config.provider_templates}
    }
    return {dotted(("providerTemplates", i, "apiKey")) for i in {*config.provider_templates} - used}


class Reloader:
    """Watches the home and the workspaces."""

    def __init__(
        self,
        configuration: Configuration,
        sessions: SessionManager,
        emit: Callable[[Event], object],
    ) -> None:
        self._configuration = configuration
        self._sessions = sessions
        self._emit = emit
        self._watch = FolderWatch([configuration.home])

    async def run(self) -> None:
        """Apply edits until cancelled."""
        stop = asyncio.Event()
        self.follow()
        try:
            async for changed in self._watch.changes(stop):
                if self._configuration.home / CONFIG in changed:
                    await self._reload()
                for session in self._sessions.all():
                    edited = sorted(
                        p.name
                        for p in changed
                        if p.parent == session.workspace and p.name != CONFIG
                    )
                    if edited:
                        await session.identity()
                        names = ", ".join(edited)
                        self._notice(
                            f"{names} of {session.id} changed; its next turn has it",
                            "identity_changed",
                            session.id,
                        )
        finally:
            stop.set()

    def follow(self) -> None:
        """Watch the workspaces of the sessions that there are now."""
        for session in self._sessions.all():
            self._watch.add(session.workspace)

    async def _reload(self) -> None:
        if not await asyncio.to_thread(self._configuration.reload):
            for problem in self._configuration.problems:
                self._notice(
                    f"{problem} (the last good configuration goes on)",
                    "config_rejected",
                    level="error",
                )
            return
        changes = await self._sessions.apply(self._configuration.config)
        self.follow()
        text = "; ".join(changes) or "settings taken"
        self._notice(f"config.json reloaded: {text}", "config_reloaded")

    def _notice(self, text: str, code: str, session: str = "", level: str = "info") -> None:
        self._emit(Notice(session=session, code=code, text=text, level=level))  # type: ignore[arg-type]
