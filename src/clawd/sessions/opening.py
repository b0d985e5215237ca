"""From settings to a session that runs; what stands in the way parks that session alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from clawd.comms.mailbox import FILE_NAME as MAILBOX
from clawd.comms.trying import surely
from clawd.config.schema import SessionSettings
from clawd.errors import ClawdError, StorageError
from clawd.events import Notice
from clawd.keyring import KeyMissing
from clawd.sessions.services import Services
from clawd.sessions.session import Session
from clawd.storage.files import make_private_folder

log = logging.getLogger("clawd.sessions")


class Supervision(Protocol):
    """Runs the sessions' loops, and starts a loop that crashed again."""

    def supervise(
        self, name: str, run: Callable[[], Coroutine[Any, Any, None]], failed: Callable[[str], None]
    ) -> None:
        """Keep ``run`` running under a name; ``failed`` is told when it is given up."""
        ...

    async def stop(self, name: str) -> None:
        """Cancel what runs under a name and wait for its end."""
        ...


class Opening:
    """Opens sessions from their files, starts them, and parks those that cannot run."""

    def __init__(self, home: Path, services: Services, supervision: Supervision) -> None:
        self._home = home
        self._services = services
        self._supervision = supervision

    def open(
        self, settings: SessionSettings, workspace: Path, creator: str
    ) -> tuple[Session, list[str]]:
        """A session from its files (blocking), and what was mended in them, in words.

        Never raises: a session whose files cannot be read is parked, and ``start`` says why.
        """
        session = Session(settings, workspace, self._services, creator)
        problems: list[str] = []
        for step in (
            lambda: self._workspace(workspace),
            lambda: self._key(settings),
            lambda: self._mail(session),
            lambda: self._conversation(session),
        ):
            try:
                problems += step() or ()
            except Exception as error:  # noqa: BLE001 - whatever it is, the others must not pay for it
                session.failed = session.failed or _with_mend(error)
                session.locked = session.locked or isinstance(error, KeyMissing)
        return session, problems

    def start(self, session: Session) -> None:
        """Let a session run that is enabled; one that could not be opened stays parked."""
        if not session.settings.enabled:
            return
        if session.failed:
            self._tell(session)
            return
        began = False

        async def run() -> None:
            nonlocal began
            if began:
                # It crashed: what it had taken out of its inbox then is still in the logs.
                await self.wake(session.id)
            began = True
            await session.run()

        self._supervision.supervise(session.id, run, lambda why: self.park(session, why))
        self._services.comms.post.wake_all(session.id)

    async def wake(self, session_id: str) -> None:
        """Put all mail and tasks that wait for a session into its inbox."""
        comms = self._services.comms
        comms.post.wake_all(session_id)
        for task in comms.board.open_for(worker=session_id):
            for part in comms.board.children(task.id):
                if part.final:  # its verdict may be in the mail of another workspace
                    await comms.tasks.verdicts.announce(part)
            await comms.tasks.go_on(task)

    def park(self, session: Session, why: str) -> None:
        """It crashed too often: it stays, visibly failed, until somebody restarts it."""
        session.failed = why
        self._tell(session)
        self._services.clock.later(0, lambda: self._end_work(session))

    def _tell(self, session: Session) -> None:
        text = f"session {session.id} is parked: {session.failed}"
        text += f"; then: clawd sessions restart {session.id}"
        self._services.emit(
            Notice(session=session.id, code="session_failed", text=text, level="error")
        )

    async def _end_work(self, session: Session) -> None:
        """Whoever waits for what it was doing is told that nothing will come of it.

        Be it later, when the disk refuses that; not when somebody has restarted it meanwhile.
        """
        comms, clock = self._services.comms, self._services.clock

        async def end(task_id: str) -> None:
            current = await comms.board.settled(task_id)
            parked = comms.host.status(session.id) == "failed"
            if current is not None and not current.final and parked:
                error = f"session {session.id} crashed: {session.failed}"
                await comms.tasks.end(current, "failed", error=error, reason="session_failed")

        def refused(error: ClawdError) -> None:
            log.warning("a task of %s, which is parked, does not end yet: %s", session.id, error)

        for task in comms.board.open_for(worker=session.id):
            if task.status == "processing":
                await surely(clock, partial(end, task.id), refused)

    def _key(self, settings: SessionSettings) -> None:
        """Without a key, a session that wants its content sealed neither reads nor writes."""
        sealing = self._services.sealing
        if settings.a2a.encrypt and sealing is not None:
            sealing.look_again()
            sealing.ring.check()

    def _leads_out(self, workspace: Path) -> bool:
        return not workspace.resolve().is_relative_to(self._home.resolve())

    def _inside(self, workspace: Path) -> None:
        if self._leads_out(workspace):
            raise StorageError(
                "storage_error",
                f"{workspace}: leads out of the home folder",
                hint="put a folder in its place",
                path=str(workspace),
            )

    def _workspace(self, workspace: Path) -> None:
        self._inside(workspace)
        make_private_folder(workspace)

    def _conversation(self, session: Session) -> list[str]:
        # Of what stands outside nothing is taken for its own.
        return [] if self._leads_out(session.workspace) else session.load()

    def _mail(self, session: Session) -> list[str]:
        post, path = self._services.comms.post, session.workspace / MAILBOX
        if post.has_box(session.id) and post.box(session.id).path == path:
            box = post.box(session.id)
            if box.usable:
                return []
        return post.open(session.id, path, lambda: self._inside(session.workspace))


def _with_mend(error: Exception) -> str:
    if not isinstance(error, ClawdError):
        return f"{type(error).__name__}: {error}"
    return f"{error.message} ({error.hint})" if error.hint else error.message
