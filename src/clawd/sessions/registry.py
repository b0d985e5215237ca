"""What was said of sessions at run time: created ones, and an overlay over the configured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

import msgspec

from clawd.ids import OPERATOR, seconds_of
from clawd.lineage import Lineage
from clawd.messages import JSON
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer


class SessionRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One line of ``state/sessions.jsonl``; the last line for an id wins.

    ``time`` is when a created session was made, or an overlay was last changed.
    ``settings`` is an entry of ``sessions`` as it would stand in ``config.json`` when ``created``
    is true; otherwise only the keys that a command changed. ``base`` holds what the configuration
    said under those keys then: an edit there wins. ``lineage`` is where a created one came from.
    """

    id: str
    time: str
    settings: JSON
    created: bool = False
    created_by: str = ""
    depth: int = 0
    removed: bool = False
    base: dict[str, Any] = msgspec.field(default_factory=dict)
    lineage: Lineage | None = None
    paused: bool = False


class Registry:
    """The fold over ``state/sessions.jsonl``."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._log = Log[SessionRecord](path, SessionRecord, writer)
        self._records: dict[str, SessionRecord] = {}

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words."""
        loaded = self._log.load()
        self._records = dict(loaded.records)
        return [str(problem) for problem in loaded.problems]

    def created(self) -> list[SessionRecord]:
        """The sessions that were made at run time and are still there."""
        return [
            record for record in self._records.values() if record.created and not record.removed
        ]

    def recent(self, creator: str, seconds: float) -> int:
        """How many sessions this one made so lately, those that are gone again too."""
        since = time.time() - seconds
        made = (record for record in self._records.values() if record.created_by == creator)
        return sum(seconds_of(record.time) > since for record in made)

    def get(self, session_id: str) -> SessionRecord | None:
        """What was said of a session."""
        record = self._records.get(session_id)
        return record if record is not None and not record.removed else None

    def creators(self, session_id: str) -> tuple[str, ...]:
        """The sessions that made this one, and made those, nearest first; gone ones too."""
        found: list[str] = []
        record = self._records.get(session_id)
        while record is not None and record.created_by not in ("", OPERATOR, *found):
            found.append(record.created_by)
            record = self._records.get(record.created_by)
        return tuple(found)

    async def forget_removed(self, seconds: float = 3600.0) -> None:
        """Drop those that are gone, once the guard on creations asks for them no more.

        ``seconds`` is how long ago they were made at least. The file follows.
        """
        since = time.time() - seconds
        # Who made one that is still there shares its limits and its budget.
        needed = {
            maker for r in self._records.values() if not r.removed for maker in self.creators(r.id)
        }
        gone = {
            r.id
            for r in self._records.values()
            if r.removed and r.id not in needed and seconds_of(r.time) <= since
        }
        for name in gone:
            del self._records[name]
        if gone and self._log.wasteful(len(self._records)):
            kept = set(self._records)
            await self._log.compact(kept.__contains__)

    def payer(self, session_id: str, configured: Container[str]) -> str:
        """The session whose budget of the day pays: one that a session made shares its creator's.

        One that stands in the configuration pays for itself.
        """
        payer = session_id
        for payer in (session_id, *self.creators(session_id)):
            if payer in configured:
                break
        return payer

    async def add(self, record: SessionRecord) -> None:
        """Store a new session; a caller that is cancelled meanwhile has stored none."""
        try:
            await self.put(record)
        except asyncio.CancelledError:
            # Its line may be on disk all the same.
            await self.put(msgspec.structs.replace(record, removed=True))
            raise

    async def put(self, record: SessionRecord) -> None:
        """Store a record; durable when this returns."""
        await self._log.append(record)
        self._records[record.id] = record
