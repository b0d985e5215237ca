"""Sessions that go: what they had open is ended, also when the disk refuses that for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from clawd.comms.directory import Entry
from clawd.comms.mailbox import FILE_NAME as MAILBOX
from clawd.config.schema import SessionSettings
from clawd.errors import ClawdError, Refused, StorageError
from clawd.events import Notice, SessionRemoved
from clawd.ids import OPERATOR
from clawd.sessions.discovery import Discovery
from clawd.sessions.ending import TurnEnding
from clawd.sessions.opening import Supervision
from clawd.sessions.services import Services
from clawd.sessions.session import Session
from clawd.sessions.transcript import FILE_NAME as TRANSCRIPT

DRAIN_SECONDS = 30.0
"""How long a session that goes may take for the turn that it is in."""
CANCEL_SECONDS = 5.0
AGAIN_SECONDS = 2.0
"""After which what the disk refused is tried again."""


class Leaving:
    """Takes sessions out of ``sessions``; by id, those that are on their way out."""

    def __init__(
        self,
        sessions: dict[str, Session],
        services: Services,
        supervision: Supervision,
        discovery: Discovery,
        entry: Callable[[SessionSettings], Entry],
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        self._sessions = sessions
        self._services = services
        self._supervision = supervision
        self._discovery = discovery
        self._entry = entry
        self._settle = settle
        self._ids: set[str] = set()
        self._served_no_more: set[str] = set()

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._ids

    def served(self, session_id: str) -> bool:
        """Whether it still takes lines."""
        return session_id not in self._served_no_more

    def add(self, session_id: str, *, moved: bool) -> None:
        """It goes, for good unless it has ``moved`` to another workspace: nobody finds it."""
        self._ids.add(session_id)
        directory = self._services.comms.directory
        if not moved:
            directory.remove(session_id)

        def why() -> ClawdError:
            if not moved:
                return directory.unknown(OPERATOR, session_id)
            return Refused(
                "session_moves",
                f"session {session_id} moves to another workspace",
                hint="say it again once its turn has ended",
            )

        self._sessions[session_id].leaves = why

    async def finish(
        self, session_id: str, *, moved: bool, then: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """Let it end its turn, and end what it had open.

        That it goes is stored already: what the disk refuses now is done when it has room, and
        ``then`` after it.
        """

        async def again() -> None:
            await self.finish(session_id, moved=moved, then=then)

        try:
            await self._close(self._sessions[session_id], moved=moved)
        except StorageError as refused:
            text = f"session {session_id} goes once the disk takes what it had open: {refused}"
            self._services.emit(
                Notice(session=session_id, code="storage", text=text, level="error")
            )
            self._services.clock.later(AGAIN_SECONDS, again)
            return
        except BaseException:
            self._forget(session_id)
            raise
        self._forget(session_id)
        if then is not None:
            await then()

    def _forget(self, session_id: str) -> None:
        self._ids.discard(session_id)
        self._served_no_more.discard(session_id)

    async def _close(self, session: Session, *, moved: bool) -> None:
        """Each step may be taken again, until the session is out."""
        comms, name = self._services.comms, session.id
        await self._settle()
        if not await session.drained(DRAIN_SECONDS):
            await session.cancel(by="clawd")
            await session.drained(CANCEL_SECONDS)
        self._served_no_more.add(name)
        await self._supervision.stop(name)
        self._services.bus.unregister(name)
        gone = "moved to another workspace" if moved else "was removed"
        code, text = "session_moves" if moved else "session_removed", f"session {name} {gone}"
        if not moved:
            await self._services.desk.dismiss(name)
            for task in comms.board.open_for(worker=name):
                current = await comms.board.settled(task.id)
                if current is None or current.final:
                    continue  # one that it depends on has just been ended
                await comms.tasks.end(current, "failed", error=text, reason=code)
        files = [session.workspace / file for file in (MAILBOX, TRANSCRIPT)]
        # What waits in files that were moved along by hand goes on in the new place.
        if not moved or await asyncio.to_thread(lambda: any(f.exists() for f in files)):
            ending = TurnEnding(lambda: session.settings, session.transcript, self._services)
            for turn in list(session.transcript.turns.values()):
                await ending.left(turn, code, text)
            await comms.settling.hold(name, gone)
        if not moved:
            self._discovery.went(self._entry(session.settings))
        comms.post.close(name)
        del self._sessions[name]
        await self._settle()
        await self._services.writer.release(*files)
        if not moved:
            self._services.emit(SessionRemoved(session=name))
