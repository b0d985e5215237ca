"""Hot reload: what the operator saves takes effect within two seconds, or changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path

from clawd.config.bindings import KeyBindings
from clawd.config.encryption import take_keys
from clawd.config.json_text import read_json
from clawd.config.last_good import load_last_good, save_last_good
from clawd.config.literals import secrets_of
from clawd.config.loader import Checked, check, load
from clawd.config.problem import Path as Place
from clawd.config.problem import dotted
from clawd.config.schema import Config
from clawd.config.watch import FolderWatch
from clawd.errors import ClawdError, ConfigError
from clawd.events import Event, Notice, SessionCreated, SessionRemoved
from clawd.keyring import Keyring
from clawd.secrets import Redactor
from clawd.sessions.identity import FILES
from clawd.sessions.manager import SessionManager
from clawd.storage.files import atomic_write
from clawd.stream import Published

CONFIG = "config.json"
LAST_GOOD = "the last good configuration goes on"


class Configuration:
    """The configuration in force, and what is wrong with the file if it is not that one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.redactor = Redactor()
        self.keyring = Keyring()
        self.config = Config()
        self.problems: list[str] = []
        self.state = "ok"
        self.bindings = KeyBindings(home, atomic_write)
        self._inactive: tuple[str, ...] = ()
        self._text = ""
        self._told: tuple[str, ...] = ()

    def load(self) -> None:
        """Read the file (blocking); a broken one leaves the last good one in force.

        Raises ``ConfigError`` when there is no configuration to go on with.
        """
        self.bindings.load()
        checked = load(self.home, os.environ)
        if checked.config is not None:
            self._take(checked, checked.config)
            return
        text = load_last_good(self.home)
        # Without a look at the disk: a workspace in whose place something else stands now parks
        # its session, and nobody else.
        last = check(text, environ=os.environ, home=None) if text is not None else None
        if last is None or last.config is None:
            lines = "\n".join(str(problem) for problem in checked.errors)
            raise ConfigError("invalid_config", lines, hint="mend the file, or run: clawd init")
        self._learn(last, last.config)
        self.config = last.config
        self._inactive = tuple(last.inactive)
        self._keep_going(checked)

    def reload(self) -> bool:
        """Read the file again (blocking); whether it is in force now."""
        checked = load(self.home, os.environ)
        if checked.config is None:
            self._keep_going(checked)
            return False
        self._take(checked, checked.config)
        return True

    def lines_of(self, paths: Collection[Place]) -> dict[Place, int]:
        """The lines where these are written in the file in force (blocking: it is read anew)."""
        document = read_json(self._text)
        found = {path: document.places[path] for path in paths if path in document.places}
        return {path: document.line_and_column(at)[0] for path, at in found.items()}

    def holds(self, notice: str) -> bool:
        """Whether what was told of the file is still so."""
        return any(notice.startswith(problem) for problem in self.problems)

    def idle(self) -> str:
        """One line for the keys that load and do nothing, when they are not those of last time."""
        keys = self._inactive if self._inactive != self._told else ()
        self._told = self._inactive
        return f"these keys have no effect yet: {', '.join(keys)}" if keys else ""

    def _learn(self, checked: Checked, config: Config) -> None:
        """Hide what the configuration holds or refers to, before anything can tell of it."""
        templates = config.provider_templates.values()
        models = {model for template in templates for model in template.available_models}
        names = {*config.provider_templates, *config.sessions, *models}
        self.redactor.learn(secrets_of(checked.content, os.environ, self.home), names=names)
        self.take_keys(config)

    def take_keys(self, config: Config | None = None) -> None:
        """Take the keys of sealed content, as they are now (blocking: they may be in files)."""
        wanted = config or self.config
        self.redactor.learn(take_keys(self.keyring, wanted, os.environ, self.home))

    def _take(self, checked: Checked, config: Config) -> None:
        self._learn(checked, config)
        self.config = config
        self._inactive, self._text = tuple(checked.inactive), checked.text
        self.state = "ok"
        self.problems = [str(p) for p in checked.warnings if p.path not in _idle_keys(config)]
        try:
            self.bindings.take(config)
            save_last_good(self.home, checked.text, checked.content, atomic_write)
        except ClawdError as error:
            # It is in force all the same; a start on a broken file would miss it.
            hint = f" ({error.hint})" if error.hint else ""
            self.problems.append(f"the configuration could not be kept: {error.message}{hint}")

    def _keep_going(self, checked: Checked) -> None:
        # Of the broken file, no line would be the right one.
        self.state, self._text = "last good", ""
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
    """Watches the home and the workspaces of the sessions, those of later ones too."""

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
        self._workspaces: dict[str, Path] = {}
        self._owners: dict[Path, str] = {}

    async def run(self) -> None:
        """Apply edits until cancelled."""
        stop = asyncio.Event()
        for session in self._sessions.all():
            self._follow(session.id)
        try:
            async for changed in self._watch.changes(stop):
                if self._configuration.home / CONFIG in changed:
                    await self._reload()
                await self._tell(changed)
        finally:
            stop.set()

    def see(self, published: Published) -> None:
        """Watch the workspace of a session that came, and no longer that of one that went."""
        event = published.event
        if isinstance(event, SessionCreated):
            self._follow(event.session)
        elif isinstance(event, SessionRemoved):
            self._leave(event.session)

    def _follow(self, session_id: str) -> None:
        session = self._sessions.find(session_id)
        if session is None or self._workspaces.get(session_id) == session.workspace:
            return
        self._leave(session_id)
        self._workspaces[session_id] = session.workspace
        self._owners[session.workspace] = session_id
        self._watch.add(session.workspace)

    def _leave(self, session_id: str) -> None:
        workspace = self._workspaces.pop(session_id, None)
        if workspace is not None:
            del self._owners[workspace]
            self._watch.remove(workspace)

    async def _tell(self, changed: set[Path]) -> None:
        edits: dict[str, list[str]] = {}
        for path in sorted(changed):
            owner = self._owners.get(path.parent)
            if owner is not None and path.name in FILES:
                edits.setdefault(owner, []).append(path.name)
        for session_id, names in edits.items():
            session = self._sessions.find(session_id)
            if session is not None:
                await session.identity()
                self._notice(
                    f"{', '.join(names)} of {session_id} changed; its next turn has it",
                    "identity_changed",
                    session_id,
                )

    async def _reload(self) -> None:
        known = set(self._configuration.problems)
        if not await asyncio.to_thread(self._configuration.reload):
            for problem in self._configuration.problems:
                self._notice(
                    f"{problem} ({LAST_GOOD})",
                    "config_rejected",
                    level="error",
                )
            return
        try:
            changes = await self._sessions.apply(self._configuration.config)
        except ClawdError as error:
            problem = f"config.json was not applied: {error.message}"
            self._configuration.problems.append(problem)
            self._notice(problem, "config_rejected", level="error")
            return
        await self._unlock()
        text = "; ".join(changes) or "settings taken"
        self._notice(f"config.json reloaded: {text}", "config_reloaded")
        for problem in self._configuration.problems:
            if problem not in known:
                self._notice(problem, "config_problem", level="warning")
        if idle := self._configuration.idle():
            self._notice(idle, "config_inactive")

    async def _unlock(self) -> None:
        """Start the sessions that were parked for want of a key, as far as it is there now."""
        for session in self._sessions.all():
            if session.locked and session.settings.enabled:
                try:
                    await self._sessions.restart(session.id)
                except ClawdError:
                    continue  # it says itself what is missing

    def _notice(self, text: str, code: str, session: str = "", level: str = "info") -> None:
        self._emit(Notice(session=session, code=code, text=text, level=level))  # type: ignore[arg-type]
