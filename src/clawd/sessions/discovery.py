"""The coming and going of visible sessions: one line in the next prompt of who may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from clawd.comms.directory import Directory, Entry
from clawd.fences import quoted
from clawd.sessions.session import Session


class Discovery:
    """Tells sessions of each other."""

    def __init__(self, directory: Directory, sessions: Callable[[], Iterable[Session]]) -> None:
        self._directory = directory
        self._sessions = sessions

    def came(self, entry: Entry) -> None:
        """Tell all who may see the session that it is there."""
        self._tell_new(entry, self._viewers(entry))

    def went(self, entry: Entry) -> None:
        """Tell all who could see the session that it is gone."""
        self._tell_gone(entry, self._viewers(entry))

    def changed(self, before: Entry, after: Entry) -> None:
        """Tell those who see it only now, and those who see it no longer."""
        saw, see = self._viewers(before), self._viewers(after)
        self._tell_new(after, [session for session in see if session not in saw])
        self._tell_gone(after, [session for session in saw if session not in see])

    def _viewers(self, entry: Entry) -> list[Session]:
        return [s for s in self._sessions() if self._directory.visible(s.id, entry)]

    def _tell_new(self, entry: Entry, viewers: Iterable[Session]) -> None:
        line = f"New since your last turn: {entry.id}: {quoted(entry.description or entry.name)}"
        for session in viewers:
            session.prompter.tell(line)

    def _tell_gone(self, entry: Entry, viewers: Iterable[Session]) -> None:
        for session in viewers:
            session.prompter.tell(f"Gone since your last turn: {entry.id}")
