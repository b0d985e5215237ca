"""What the operator should have seen: kept over restarts, the same thing once with a count."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from clawd.comms.notices import KeptNotice
from clawd.daemon.discretion import kept_text
from clawd.errors import ClawdError, StorageError
from clawd.events import Notice
from clawd.ids import new_id
from clawd.messages import JSON
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer
from clawd.stream import Published

log = logging.getLogger("clawd.daemon")

KEPT = 500
_OF_THE_PRESENT = "config_"
"""How the codes begin of what is said again at each start while it holds: not for the file."""
_NUMBER = re.compile(r"\d+")
_SECONDS = 2.0
"""How long what came again may wait for its line."""
_AGAIN_SECONDS = 4.0
"""A disk that has room again is noticed within five seconds."""


class Notices:
    """The warnings and errors of the last days, newest last; at most ``KEPT``."""

    def __init__(
        self,
        path: Path,
        writer: Writer,
        later: Callable[[float, Callable[[], Awaitable[object]]], object],
        private: Callable[[str], bool] = lambda _: False,
        holds: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """``holds`` says whether what was told of ``config.json`` is still so."""
        self._log = Log[KeptNotice](path, KeptNotice, writer)
        self._later = later
        self._private = private
        self._holds = holds
        self._kept: dict[tuple[str, str, str], KeptNotice] = {}
        self._unwritten: set[tuple[str, str, str]] = set()
        self._writing = False
        self._refused = False

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words."""
        try:
            loaded = self._log.load()
        except ClawdError as error:
            # No reason to serve nobody: what comes is in memory, and in the log.
            return [f"notices are not kept: {error.message}"]
        for record in sorted(loaded.records.values(), key=lambda record: record.time):
            self._put(record)
        return [str(problem) for problem in loaded.problems]

    def __call__(self, published: Published) -> None:
        """Keep a notice, unless it is for information alone."""
        event = published.event
        if not isinstance(event, Notice) or event.level == "info":
            return
        text = kept_text(event, self._private)
        key = _key(event.code, event.session, event.trace, text)
        known = self._kept.get(key)
        self._put(
            KeptNotice(
                id=known.id if known else new_id("notice"),
                first=known.first if known else published.time,
                time=published.time,
                level=event.level,
                code=event.code,
                text=text,
                session=event.session,
                trace=event.trace,
                parent=event.parent,
                guard=event.guard,
                count=known.count + 1 if known else 1,
            )
        )
        if event.code.startswith(_OF_THE_PRESENT):
            return
        self._unwritten.add(key)
        if not self._writing:
            self._writing = True
            self._later(0.0 if known is None else _SECONDS, self.write)

    def shown(self) -> list[JSON]:
        """Every one that is not mended since, newest last, as ``clawd status`` has them."""
        records = [
            record
            for record in self._kept.values()
            if not record.code.startswith(_OF_THE_PRESENT) or self._holds(record.text)
        ]
        fields: list[JSON] = [msgspec.to_builtins(record) for record in records]
        return [{"session": "", **each} for each in fields]

    def refusals(self, trace: str) -> list[JSON]:
        """What guards refused in one trace."""
        return [each for each in self.shown() if each.get("trace") == trace and each.get("guard")]

    def clear(self) -> None:
        """Forget every one; the file is not touched."""
        self._kept.clear()
        self._unwritten.clear()

    async def write(self) -> None:
        """Bring what came to disk; what the disk does not take now is brought later."""
        self._writing = False
        keys, self._unwritten = self._unwritten, set()
        records = [self._kept[key] for key in keys if key in self._kept]
        try:
            await self._log.append(*records)
            self._refused = False
        except asyncio.CancelledError:
            # The last write of a daemon that ends brings it, perhaps once more.
            self._unwritten |= keys
            raise
        except ClawdError as error:
            self._not_taken(error, keys)
            return
        try:
            if self._log.wasteful(len(self._kept)):
                ids = {record.id for record in self._kept.values()}
                await self._log.compact(lambda name: name in ids)
        except ClawdError as error:
            log.warning("notices were not made fewer on disk: %s", error)

    def _not_taken(self, error: ClawdError, keys: set[tuple[str, str, str]]) -> None:
        """Try again what a disk refused; what could never be stored stays in memory and the log."""
        if not self._refused:
            log.warning("notices are not kept: %s", error)
        if not isinstance(error, StorageError) or error.code == "line_too_large":
            return
        self._refused = True
        self._unwritten |= keys & self._kept.keys()
        if not self._writing:
            self._writing = True
            self._later(_AGAIN_SECONDS, self.write)

    def _put(self, record: KeptNotice) -> None:
        key = _key(record.code, record.session, record.trace, record.text)
        self._kept.pop(key, None)
        self._kept[key] = record
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)))


def _key(code: str, session: str, trace: str, text: str) -> tuple[str, str, str]:
    """What makes two notices one: all but the numbers in them."""
    return code, session, trace or _NUMBER.sub("#", text)
