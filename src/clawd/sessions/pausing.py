"""``clawd pause``: sessions stand still on the operator's word, one or all, over restarts too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from clawd.errors import Refused, StorageError
from clawd.events import Event, Notice, SessionChanged
from clawd.ids import now
from clawd.sessions.registry import Registry, SessionRecord
from clawd.sessions.session import Session

ALL = "all"
"""The id (which no session may have) of the record that holds for every session."""


class Pausing:
    """Who stands still. What is paused takes mail and tasks, and begins no turn."""

    def __init__(
        self,
        registry: Registry,
        sessions: Callable[[], Iterable[Session]],
        emit: Callable[[Event], object],
    ) -> None:
        self._registry = registry
        self._sessions = sessions
        self._emit = emit
        self._all = False
        self._one: set[str] = set()

    @property
    def everyone(self) -> bool:
        """Whether all sessions are paused."""
        return self._all

    def named(self) -> list[str]:
        """The sessions that are paused one by one."""
        return sorted(session.id for session in self._sessions() if session.id in self._one)

    def load(self) -> None:
        """Take over what was paused before the daemon started."""
        record = self._registry.get(ALL)
        self._all = record is not None and record.paused

    def restore(self, session: Session) -> None:
        """A session is there: it stands still if it is to."""
        record = self._registry.get(session.id)
        paused = record is not None and record.paused
        (self._one.add if paused else self._one.discard)(session.id)
        if self._all or session.id in self._one:
            session.halt()

    async def pause(self, session: Session | None = None) -> list[str]:
        """Stop one session, or all; the ids of the turns that were stopped.

        They stand still at once. ``StorageError`` says that they do, but would not after a
        restart.
        """
        self._mark(session, paused=True)
        listed = list(self._sessions()) if session is None else [session]
        before = [(each, each.running) for each in listed if each.running is not None]
        for each in listed:
            each.halt()
        try:
            await self._keep(session, paused=True)
        finally:
            for each, _ in before:
                await each.halted()
        return [turn.id for each, turn in before if turn.id in each.transcript.turns]

    async def resume(self, session: Session | None = None) -> list[str]:
        """Let one session go on, or all, those too that were paused one by one; their ids."""
        if session is not None and self._all:
            raise Refused(
                "all_paused",
                "every session is paused, not this one alone",
                hint="clawd resume goes on with all",
            )
        paused = [each for each in self._sessions() if each.paused]
        going = paused if session is None else [each for each in paused if each is session]
        for each in [each for each in going if each.id in self._one]:
            await self._keep(each, paused=False)
        if session is None and self._all:
            await self._keep(None, paused=False)
        for each in going:
            each.go_on()
        return [each.id for each in going]

    async def _keep(self, session: Session | None, *, paused: bool) -> None:
        name = ALL if session is None else session.id
        known = self._registry.get(name)
        if known is None or known.paused is not paused:
            record = known or SessionRecord(name, now(), {})
            try:
                await self._registry.put(msgspec.structs.replace(record, paused=paused))
            except StorageError as refused:
                if paused:
                    text = f"it stands still now, but not after a restart: {refused.message}"
                    raise StorageError(refused.code, text, hint=refused.hint) from refused
                raise
        self._mark(session, paused=paused)
        if session is None:
            text = "every session is paused; clawd resume goes on" if paused else "paused no more"
            self._emit(Notice(code="paused" if paused else "resumed", text=text))
        else:
            change = "paused; clawd resume goes on" if paused else "goes on"
            self._emit(SessionChanged(session=session.id, change=change))

    def _mark(self, session: Session | None, *, paused: bool) -> None:
        if session is None:
            self._all = paused
        else:
            (self._one.add if paused else self._one.discard)(session.id)
