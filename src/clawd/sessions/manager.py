"""All sessions of the daemon: started, created, changed, removed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from clawd.agent.workbench import Place
from clawd.comms.caller import Caller
from clawd.comms.creation import SessionCreation
from clawd.comms.directory import Entry
from clawd.comms.manager import SessionCommsManager, Status
from clawd.comms.models import AsyncTask
from clawd.config.schema import Config, SessionSettings
from clawd.errors import Refused
from clawd.events import SessionChanged, SessionCreated
from clawd.ids import OPERATOR
from clawd.messages import JSON
from clawd.sessions.counting import count_created
from clawd.sessions.creation import (
    check_free,
    created_record,
    finished,
    make_workspace_whole,
    settings_for,
)
from clawd.sessions.discovery import Discovery
from clawd.sessions.entries import check_model, entry_of
from clawd.sessions.leaving import Leaving
from clawd.sessions.models import ConfiguredModels, public_template
from clawd.sessions.opening import Opening, Supervision
from clawd.sessions.orphans import hold_orphans
from clawd.sessions.overlay import outdated, overlay_record, wanted_settings, with_overlay
from clawd.sessions.pausing import Pausing
from clawd.sessions.registry import Registry, SessionRecord
from clawd.sessions.services import Services
from clawd.sessions.session import Session


class SessionManager:
    """The sessions by id; what messages and tasks need of them."""

    def __init__(
        self,
        home: Path,
        services: Services,
        models: ConfiguredModels,
        registry: Registry,
        supervision: Supervision,
    ) -> None:
        self._home = home
        self._services = services
        self._models = models
        self._registry = registry
        self._supervision = supervision
        self._opening = Opening(home, services, supervision)
        self._sessions: dict[str, Session] = {}
        self._discovery = Discovery(services.comms.directory, self._sessions.values)
        self._leaving = Leaving(
            self._sessions,
            services,
            supervision,
            self._discovery,
            self._entry,
            self._settle_toolkits,
        )
        self.pausing = Pausing(registry, self._sessions.values, services.emit)
        self._changing = asyncio.Lock()

    @property
    def _comms(self) -> SessionCommsManager:
        return self._services.comms

    def all(self) -> list[Session]:
        """Every session."""
        return [*self._sessions.values()]

    def find(self, session_id: str) -> Session | None:
        """A session by id, if it is there."""
        return self._sessions.get(session_id)

    def get(self, session_id: str) -> Session:
        """A session by id; ``NotFound`` naming the nearest."""
        session = self._sessions.get(session_id)
        if session is None or not self._leaving.served(session_id):
            raise self._comms.directory.unknown(OPERATOR, session_id)
        return session

    def load(self, config: Config) -> list[str]:
        """Open every configured and created session (blocking, at start); problems in words."""
        problems = self._registry.load()
        count_created(self._registry, self._comms.traces)
        self.pausing.load()
        for settings in wanted_settings(config, self._registry).values():
            problems += self._open(settings)
        return problems

    def start(self) -> None:
        """Let the loaded sessions run."""
        for session in self._sessions.values():
            self._opening.start(session)
        self._services.clock.later(0, self._forget_outdated)
        self._services.clock.later(0, self._settle_toolkits)

    async def hold_orphans(self) -> None:
        """Hold the mail of sessions that were taken away while the daemon did not run."""
        workspaces = {session.workspace for session in self._sessions.values()}
        await hold_orphans(self._comms, self._home, set(self._sessions), workspaces)

    async def apply(self, config: Config) -> list[str]:
        """Bring the sessions in line with a new configuration; the changes in words.

        What is taken away, or gets another workspace, ends its turn first, without holding up
        the rest.
        """
        async with self._changing:
            await self._forget_outdated()
            wanted = wanted_settings(config, self._registry)
            changes: list[str] = []
            for session_id, settings in wanted.items():
                current = self._sessions.get(session_id)
                if session_id in self._leaving:
                    continue
                if current is None:
                    problems = await asyncio.to_thread(self._open, settings)
                    self._opening.start(self._sessions[session_id])
                    await self._opening.wake(session_id)
                    self._services.emit(SessionCreated(session=session_id, name=settings.name))
                    self._discovery.came(self._entry(settings))
                    changes += [f"session {session_id} added", *problems]
                elif self._home / settings.workspace != current.workspace:
                    self._leave(session_id, moved=True)
                    changes.append(f"session {session_id} moves to {settings.workspace}")
                elif current.settings != settings:
                    self._configure(current, settings)
                    changes.append(f"session {session_id} changed")
            for session_id in [i for i in self._sessions if i not in wanted]:
                if session_id not in self._leaving:
                    self._leave(session_id)
                    changes.append(f"session {session_id} removed")
            if changes:
                await self._settle_toolkits()
            return changes

    async def _settle_toolkits(self) -> None:
        """Tell the groups of tools which sessions there are now."""
        there = [s for s in self.all() if s.settings.enabled and s.id not in self._leaving]
        places = [Place(session.settings, session.workspace) for session in there]
        for kit in self._services.toolkits:
            await kit.settle(places)

    # What messages and tasks need (clawd.comms.manager.Host).

    def status(self, session_id: str) -> Status:
        """What the session is doing."""
        session = self._sessions.get(session_id)
        if session is None:
            return "disabled"
        return session.status() if session.settings.enabled else "disabled"

    def queue(self, session_id: str) -> int:
        """How many requests wait for it."""
        session = self._sessions.get(session_id)
        return session.queue() if session else 0

    def templates(self) -> list[JSON]:
        """The provider templates, without keys."""
        return [public_template(t) for t in self._services.config().provider_templates.values()]

    async def outputs(self, session_id: str, limit: int) -> list[JSON]:
        """The latest final texts of a session, oldest first."""
        return [r.output() for r in (await self.get(session_id).transcript.finals())[-limit:]]

    async def stop_work(self, task: AsyncTask) -> None:
        """Stop the turn that works on this task, if one runs."""
        session = self._sessions.get(task.to_session)
        if session is not None and session.works_on(task.id):
            await session.cancel(by="clawd")
        elif session and (parked := session.parked_for(task.id)):
            await session.cancel(parked, by="clawd")

    async def create(self, caller: Caller, wanted: SessionCreation) -> Entry:
        """Create and start a session, all or nothing."""
        async with self._changing:
            config = self._services.config()
            self._comms.directory.check_creation(caller)
            check_free(wanted.id, self._sessions)
            own = self._sessions.get(caller.session)
            settings = settings_for(config, wanted, own.settings if own else None)
            self._models.check_key(config.template_of(settings))
            parent = self._registry.get(caller.session)
            depth = parent.depth if parent else 0
            alive = len([r for r in self._registry.created() if r.created_by != OPERATOR])
            lineage = caller.lineage.step(caller.turn, caller.session)
            recent = self._registry.recent(caller.session, 3600.0)
            self._comms.guards.creation(lineage, caller.session, depth, alive, recent)
            folder = self._home / settings.workspace
            await make_workspace_whole(folder, wanted)
            record = created_record(settings, caller.session, depth, lineage)
            try:
                await self._registry.add(record)
            except BaseException:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                raise
            self._comms.traces.created(lineage, wanted.id, record.time)
            try:
                await self._bring_in(settings, record, folder)
                await self._settle_toolkits()
            except asyncio.CancelledError:
                # It is registered, and there: that this caller does not know it changes nothing.
                self._services.clock.later(0, self._settle_toolkits)
                raise
            return self._entry(settings)

    async def _bring_in(
        self, settings: SessionSettings, record: SessionRecord, folder: Path
    ) -> None:
        """Open and start a session that is registered, also when the caller is cancelled."""

        def open_() -> None:
            finished(folder)
            self._open(settings, record.created_by)

        def begin(opened: asyncio.Future[None]) -> None:
            if opened.cancelled() or opened.exception() is not None:
                return
            self._opening.start(self._sessions[settings.id])
            self._services.emit(
                SessionCreated(
                    session=settings.id,
                    trace=record.lineage.trace if record.lineage else "",
                    name=settings.name,
                    created_by=record.created_by,
                )
            )
            self._discovery.came(self._entry(settings))

        opening = asyncio.get_running_loop().run_in_executor(None, open_)
        # However often the caller is cancelled; before it learns that the session is open.
        opening.add_done_callback(begin)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            raise

    # What only the operator can do.

    async def remove(self, session_id: str) -> None:
        """Remove a session that was made at run time; its workspace stays."""
        async with self._changing:
            self.get(session_id)
            record = self._registry.get(session_id)
            configured = session_id in self._services.config().sessions
            if configured or record is None or not record.created:
                raise Refused(
                    "configured",
                    f"session {session_id!r} stands in config.json",
                    hint="remove it there",
                )
            gone = msgspec.structs.replace(record, settings={}, removed=True)
            await self._registry.put(gone)
            # A reload that comes meanwhile leaves it to this.
            self._leaving.add(session_id, moved=False)
        await self._leaving.finish(session_id, moved=False)

    async def restart(self, session_id: str) -> Session:
        """Start a session anew, from its files when it is parked; ``Refused`` when it cannot run.

        A turn that runs is cut off and goes on from the transcript.
        """
        async with self._changing:
            session = self.get(session_id)
            if not session.settings.enabled:
                raise Refused(
                    "disabled", f"session {session_id} is disabled", hint="enable it in config.json"
                )
            if session.leaves is not None:
                raise session.leaves()  # the turn that it is in has its time
            await self._supervision.stop(session_id)
            if session.failed:
                self._services.bus.unregister(session_id)
                await asyncio.to_thread(self._open, session.settings, session.created_by)
                session = self._sessions[session_id]
            session.check_served()
            self._opening.start(session)
            await self._opening.wake(session_id)
            self._services.emit(SessionChanged(session=session_id, change="restarted"))
            return session

    async def change(self, session_id: str, changes: JSON) -> Session:
        """Change a session at run time: ``hiddenFromAgents`` and ``model``."""
        async with self._changing:
            session = self.get(session_id)
            record = overlay_record(
                self._services.config(), session.settings, self._registry.get(session_id), changes
            )
            settings = with_overlay(self._services.config(), session.id, record)
            check_model(self._services.config(), settings)
            await self._registry.put(record)
            self._configure(session, settings)
            return session

    async def _forget_outdated(self) -> None:
        """Drop for good what the operator has since edited in ``config.json``."""
        for record in outdated(self._services.config(), self._registry):
            await self._registry.put(record)

    def _entry(self, settings: SessionSettings) -> Entry:
        adopted = settings.id in self._services.config().sessions
        return entry_of(settings, () if adopted else self._registry.creators(settings.id))

    def _open(self, settings: SessionSettings, created_by: str | None = None) -> list[str]:
        record = self._registry.get(settings.id)
        creator = created_by if created_by is not None else (record.created_by if record else "")
        session, problems = self._opening.open(settings, self._home / settings.workspace, creator)
        self._comms.directory.put(self._entry(settings))
        self.pausing.restore(session)
        self._sessions[settings.id] = session
        return problems

    def _leave(self, session_id: str, *, moved: bool = False) -> None:
        self._leaving.add(session_id, moved=moved)

        async def close() -> None:
            await self._leaving.finish(session_id, moved=moved, then=self._apply_again)

        self._services.clock.later(0, close)

    async def _apply_again(self) -> None:
        await self.apply(self._services.config())

    def _configure(self, session: Session, settings: SessionSettings) -> None:
        before, after = session.settings, settings
        session.configure(settings)
        self._comms.directory.put(self._entry(settings))
        self._discovery.changed(self._entry(before), self._entry(settings))
        if before.enabled != after.enabled:
            if after.enabled:
                self._services.clock.later(0, lambda: self.restart(session.id))
            else:
                self._services.clock.later(0, lambda: self._supervision.stop(session.id))
        elif after.a2a != before.a2a:
            self._comms.post.wake_all(session.id)
        self._services.emit(SessionChanged(session=session.id, change="settings changed"))
