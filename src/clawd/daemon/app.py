"""The daemon: built once, run until told, stopped in two stages."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from clawd import __version__
from clawd.approvals.desk import FILE_NAME as APPROVALS
from clawd.approvals.desk import Desk
from clawd.bus.memory import MemoryBus
from clawd.comms.manager import SessionCommsManager
from clawd.comms.notices import FILE_NAME
from clawd.config.problem import Path as Place
from clawd.config.schema import Config, Limits, SessionSettings, limits_for
from clawd.daemon.checksums import Checksums
from clawd.daemon.features import features
from clawd.daemon.logbook import Logbook, LogHandler
from clawd.daemon.notices import Notices
from clawd.daemon.notify import notify
from clawd.daemon.reload import LAST_GOOD, Configuration, Reloader
from clawd.daemon.resources import resources
from clawd.daemon.supervisor import Supervisor
from clawd.daemon.watchdog import Watchdog
from clawd.events import Notice, SessionCreated, SessionRemoved
from clawd.gateway.app import create_app
from clawd.gateway.house import Part
from clawd.gateway.serve import LocalServer
from clawd.ids import OPERATOR, now
from clawd.ledger.ledger import Ledger
from clawd.ledger.report import shown, standing
from clawd.messages import JSON
from clawd.sessions.answers import Answers, going_on
from clawd.sessions.gate import Gate
from clawd.sessions.manager import SessionManager
from clawd.sessions.models import ConfiguredModels
from clawd.sessions.registry import Registry
from clawd.sessions.services import Services
from clawd.sessions.session import Session
from clawd.sessions.tracing import Tracing
from clawd.storage.sealing import Sealing
from clawd.storage.writer import MAX_LINE_BYTES, Writer
from clawd.stream import EventStream

log = logging.getLogger("clawd.daemon")

STOP_SECONDS = 8.0
SWEEP_SECONDS = 60.0
SUMS_SECONDS = 600.0
BLOCKED_NOTICE_SECONDS = 60.0


class Daemon:
    """Everything, put together. Nobody but this knows everyone."""

    def __init__(self, home: Path, configuration: Configuration, began: float) -> None:
        self.home = home
        self.state = home / "state"
        self.configuration = configuration
        self.began = began
        self.started_at = now()
        self.socket = ""
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()
        self.drain_seconds = 0.0
        self.ends_now: Callable[[], object] = lambda: None
        """Told when a stop has nothing more to wait for: its deadline begins."""
        self.watchdog: Watchdog | None = None
        self._told_of_blocking = -BLOCKED_NOTICE_SECONDS
        self.redactor = configuration.redactor
        self.stream = EventStream(clean=self.redactor.clean)
        self.supervisor = Supervisor()
        longest = configuration.config.limits.max_line_bytes
        self.writer = Writer(
            # What was stored under a wider limit is still read.
            max_line_bytes=max(longest, MAX_LINE_BYTES),
            longest=longest,
            clean=self.redactor.clean,
        )
        self.notices = Notices(
            self.state / FILE_NAME,
            self.writer,
            self.supervisor.later,
            self._private,
            configuration.holds,
        )
        self.stream.observe(self.notices, Notice)
        self.bus = MemoryBus()
        emit = self.stream.publish
        sealing = Sealing(configuration.keyring, self._private, configuration.take_keys)
        self.sealing = sealing
        self.ledger = Ledger(
            self.state,
            self.writer,
            emit,
            self._limits,
            lambda: configuration.config.limits,
            self._payer,
            lambda: configuration.config.retention.usage_days,
        )
        self.desk = Desk(self.state / APPROVALS, self.writer, self.supervisor, emit, sealing)
        self.comms = SessionCommsManager(
            self.state,
            self.bus,
            self.writer,
            self.supervisor,
            emit,
            self._limits,
            lambda: configuration.config.retention.tasks_hours,
            sealing,
            self.ledger.totals.task,
        )
        self.models = ConfiguredModels(
            lambda: configuration.config,
            configuration.bindings,
            home,
            emit,
            self.redactor,
            self.ledger,
        )
        self.features = features(self, home)
        services = Services(
            self.comms,
            self.bus,
            self.writer,
            self.supervisor,
            Gate(lambda: configuration.config.limits.max_turns),
            self.models,
            lambda: configuration.config,
            emit,
            self.desk,
            self.redactor.text,
            sealing,
            self.features.toolkits,
        )
        self.registry = Registry(self.state / "sessions.jsonl", self.writer)
        self.sessions = SessionManager(home, services, self.models, self.registry, self.supervisor)
        self.comms.attach(self.sessions)
        self.desk.attach(going_on(self.sessions.find))
        self.comms.post.answers = Answers(self.desk, self.comms, self.supervisor)
        self.tracing = Tracing(self.comms, self.sessions.all, self.registry, self.notices.refusals)
        self._limits_of: WeakKeyDictionary[Session, tuple[Limits, SessionSettings, Limits]]
        self._limits_of = WeakKeyDictionary()
        self.reloader = Reloader(configuration, self.sessions, emit)
        self.stream.observe(self.reloader.see, SessionCreated, SessionRemoved)
        self.logbook = Logbook(
            self.state,
            lambda: configuration.config.log,
            self._workspace,
            self.redactor.clean,
            self._private,
        )
        self.stream.observe(self.logbook)
        self.checksums = Checksums(self.state, self.sessions.all)

    async def run(self) -> bool:
        """Start, serve until told to stop, and stop; true when everything has ended."""
        self.writer.start()
        self.watchdog = Watchdog(self._blocked)
        handler = LogHandler(self.logbook)
        logging.getLogger().addHandler(handler)
        server = LocalServer(create_app(self), self.state, self.stream.close)
        try:
            problems = await asyncio.to_thread(self._load)
            if problems:
                await self.checksums.mended()
            # What was built at start lives as long as the daemon: spare the collector.
            gc.freeze()
            for problem in problems:
                self._notice("storage_mended", problem, "warning")
            self._tell_of_configuration()
            await self.ledger.resume()
            self.sessions.start()
            await self.comms.resume()
            await self.desk.resume()
            await self.sessions.hold_orphans()
            self.supervisor.supervise("reload", self.reloader.run, self._lost("reload"))
            self.supervisor.supervise("sweep", self._sweep, self._lost("sweep"))
            self.supervisor.spawn("models", self.models.warm())
            async with server.serving() as path:
                self.socket = str(path)
                self.ready.set()
                notify("READY=1")
                log.info("ready in %.0f ms", (time.perf_counter() - self.began) * 1000)
                await self.stopping.wait()
                notify("STOPPING=1")
                if self.drain_seconds:
                    # Side by side; what is late then is suspended, and goes on after a start.
                    async with asyncio.TaskGroup() as group:
                        for session in self.sessions.all():
                            group.create_task(session.drained(self.drain_seconds))
                self.ends_now()
        finally:
            self.ends_now()
            await self.features.close()
            late = await self.supervisor.close(STOP_SECONDS)
            for name in late:
                log.error("%s did not stop in time", name)
            await self.models.close()
            await self.notices.write()
            await self.writer.close()
            await self.checksums.take()
            self.watchdog.close()
            logging.getLogger().removeHandler(handler)
            self.logbook.close()
        return not late

    def stop(self, drain_seconds: float = 0.0) -> None:
        """Begin to stop; running turns get ``drain_seconds`` to end, and go on after a restart."""
        self.drain_seconds = drain_seconds
        self.stopping.set()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.configuration.config

    async def lines_of(self, paths: Collection[Place]) -> dict[Place, int]:
        """The lines of ``config.json`` where these are written, of those that are."""
        return await asyncio.to_thread(self.configuration.lines_of, paths)

    def part(self, kind: type[Part]) -> Part | None:
        """The group of tools of this class; None when this daemon has none."""
        found = (kit for kit in self.features.toolkits if isinstance(kit, kind))
        return next(found, None)

    def status(self) -> JSON:
        """What ``clawd status`` shows."""
        sessions = self.sessions.all()
        config = self.configuration.config
        used = {config.template_of(s.settings).id for s in sessions}
        providers: list[JSON] = []
        for template in config.provider_templates.values():
            key = self.models.key_state(template)
            ok = key in ("ok", "none")
            if template.id in used or ok:
                providers.append({"id": template.id, "ok": ok} | ({} if ok else {"problem": key}))
        return {
            "version": __version__,
            "pid": os.getpid(),
            "home": str(self.home),
            "socket": self.socket,
            "startedAt": self.started_at,
            "uptimeSeconds": round(time.perf_counter() - self.began, 1),
            "sessions": {
                "total": len(sessions),
                "busy": sum(s.running is not None for s in sessions),
                "failed": sum(bool(s.failed) for s in sessions),
            },
            "paused": {
                "all": self.sessions.pausing.everyone,
                "sessions": self.sessions.pausing.named(),
            },
            "unread": self.comms.post.box(OPERATOR).unread(),
            "approvals": len(self.desk.waiting()),
            "openTasks": len(self.comms.board.open_for()),
            "usage": {
                "today": shown(self.ledger.totals.daemon_sum),
                "limits": standing(self.ledger, [s.id for s in sessions]),
            },
            "config": {"state": self.configuration.state, "problems": self.configuration.problems},
            "providers": providers,
            "offline": all(config.template_of(s.settings).is_offline for s in sessions),
            "loop": self.watchdog.state() if self.watchdog else None,
            "notices": self.notices.shown(),
            "resources": resources(),
            "seq": self.stream.seq,
        }

    def _load(self) -> list[str]:
        problems = [*self.ledger.load(), *self.notices.load(), *self.desk.load()]
        problems += self.comms.load()
        problems += self.sessions.load(self.configuration.config)
        for notice in self.notices.shown():
            if notice.get("guard"):
                self.comms.traces.refused(notice["trace"], notice.get("count", 1))
        return problems

    def _tell_of_configuration(self) -> None:
        if self.configuration.state == "ok":
            for problem in self.configuration.problems:
                self._notice("config_problem", problem, "warning")
        else:
            log.error("config.json is broken; started on the last good configuration")
            for problem in self.configuration.problems:
                self._notice("config_rejected", f"{problem} ({LAST_GOOD})", "error")
        if idle := self.configuration.idle():
            self._notice("config_inactive", idle)

    def _limits(self, session_id: str) -> Limits:
        """Asked at every guard: the same objects in, the same object out."""
        config = self.configuration.config
        session = self.sessions.find(session_id)
        if session is None:
            return config.limits
        settings = session.settings
        if not settings.limits.model_fields_set:
            return config.limits
        known = self._limits_of.get(session)
        if known is None or known[0] is not config.limits or known[1] is not settings:
            known = (config.limits, settings, limits_for(config, settings))
            self._limits_of[session] = known
        return known[2]

    def _payer(self, session_id: str) -> str:
        return self.registry.payer(session_id, self.config.sessions)

    def _workspace(self, session_id: str) -> Path | None:
        session = self.sessions.find(session_id)
        return session.workspace if session else None

    def _private(self, session_id: str) -> bool:
        """Whether the content of a session is sealed."""
        session = self.sessions.find(session_id)
        settings = session.settings if session else self.config.sessions.get(session_id)
        return settings is not None and settings.a2a.encrypt

    async def _sweep(self) -> None:
        summed = -SUMS_SECONDS
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.comms.sweep()
            await self.registry.forget_removed()
            await self.desk.sweep()
            await self.ledger.sweep()
            if time.monotonic() - summed >= SUMS_SECONDS:
                summed = time.monotonic()
                await self.checksums.take()

    def _notice(self, code: str, text: str, level: Any = "info") -> None:
        self.stream.publish(Notice(code=code, text=text, level=level))

    def _blocked(self, text: str) -> None:
        """The watchdog's word on a blockage: in the log each time, here once in a while."""
        if time.monotonic() - self._told_of_blocking >= BLOCKED_NOTICE_SECONDS:
            self._told_of_blocking = time.monotonic()
            self._notice("loop_blocked", text, "warning")

    def _lost(self, name: str) -> Callable[[str], None]:
        return lambda why: self._notice("part_failed", f"{name} was given up: {why}", "error")
