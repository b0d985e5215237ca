"""A ledger on a folder of its own, with limits that a test sets and a day that it chooses."""

from __future__ import annotations

from pathlib import Path

from clawd.config.schema import Limits
from clawd.events import Event, Notice
from clawd.ledger.days import Days
from clawd.ledger.ledger import Ledger
from clawd.storage.writer import Writer


class Books:
    """The ledger, and everything around it that a test turns."""

    def __init__(self, folder: Path, writer: Writer) -> None:
        self.folder = folder
        self.writer = writer
        self.house = Limits()
        self.limits: dict[str, Limits] = {}
        self.payers: dict[str, str] = {}
        self.events: list[Event] = []
        self.time = 1_795_000_000.0
        self.ledger = self.open()

    def open(self, days: Days | None = None) -> Ledger:
        """The ledger as a daemon finds it at its start."""
        self.ledger = Ledger(
            self.folder,
            self.writer,
            self.events.append,
            lambda session: self.limits.get(session, self.house),
            lambda: self.house,
            lambda session: self.payers.get(session, session),
            lambda: 30.0,
            days or Days(lambda: self.time),
        )
        self.ledger.load()
        return self.ledger

    def notices(self, code: str) -> list[str]:
        """What the operator was told under this code."""
        return [e.text for e in self.events if isinstance(e, Notice) and e.code == code]
