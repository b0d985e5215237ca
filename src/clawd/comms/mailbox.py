"""One session's mail: a fold over ``session_messages.jsonl``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from clawd.comms.models import SessionMessage, blank
from clawd.comms.sharing import Sharing
from clawd.errors import StorageError
from clawd.ids import OPERATOR
from clawd.storage.jsonl import Loaded, Log
from clawd.storage.sealing import Sealing
from clawd.storage.writer import Writer

FILE_NAME = "session_messages.jsonl"


class Mailbox:
    """The messages to one address, in the order in which they were accepted."""

    def __init__(
        self, owner: str, path: Path, writer: Writer, sealing: Sealing | None = None
    ) -> None:
        self.owner = owner
        sealer = sealing.sealer(blank, _keeper, lenient=owner == OPERATOR) if sealing else None
        self._log = Log[SessionMessage](path, SessionMessage, writer, sealer=sealer)
        self._messages: dict[str, SessionMessage] = {}
        self._waiting = 0
        self._coming = 0
        self._trouble: StorageError | None = None

    @property
    def path(self) -> Path:
        """The file that this is a fold of."""
        return self._log.path

    @property
    def usable(self) -> bool:
        """Whether its file could be read."""
        return self._trouble is None

    def load(self, may_be: Callable[[], object] = list) -> Loaded[SessionMessage]:
        """Read the file (blocking; before the first use).

        ``StorageError`` when it cannot be read, or ``may_be`` raises one because this is no place
        for a file: then the mailbox is empty and takes nothing.
        """
        try:
            may_be()
            loaded = self._log.load(check=self._foreign, share=Sharing(self.owner).of)
        except StorageError as trouble:
            self._trouble = trouble
            raise
        self._messages = dict(loaded.records)
        self._waiting = sum(message.waits for message in self._messages.values())
        return loaded

    def get(self, message_id: str) -> SessionMessage | None:
        """A message by id."""
        return self._messages.get(message_id)

    def all(self) -> Iterable[SessionMessage]:
        """Every message, oldest first."""
        return self._messages.values()

    def unread(self) -> int:
        """How many messages wait or have not been read."""
        return self._waiting

    def expected(self) -> int:
        """The unread ones, and those that are being written to disk right now."""
        return self._waiting + self._coming

    async def add(self, message: SessionMessage) -> None:
        """Store a message; it is in the mailbox, and durable, when this returns."""
        if (trouble := self._trouble) is not None:
            # What it holds is not known: a line behind that might be one too many.
            raise StorageError(trouble.code, trouble.message, hint=trouble.hint, **trouble.facts)
        self._coming += 1
        try:
            (message,) = await self._log.append(message)
        except asyncio.CancelledError:
            # The line is on its way to the disk all the same: memory must not know less.
            self._put(message)
            raise
        finally:
            self._coming -= 1
        self._put(message)

    async def change(self, *changes: tuple[str, dict[str, Any]]) -> list[SessionMessage]:
        """Change messages by id and field, in one append; the new records."""
        before = [self._messages[message_id] for message_id, _ in changes]
        after = [
            msgspec.structs.replace(old, **fields)
            for old, (_, fields) in zip(before, changes, strict=True)
        ]
        # Visible at once, so that two changes of one message never start from the same record.
        for message in after:
            self._put(message)
        try:
            await self._log.append(*after)
        except Exception:
            for old, new in zip(before, after, strict=True):
                if self._messages.get(old.id) is new:
                    self._put(old)
            raise
        return after

    def wasteful(self) -> bool:
        """Whether the file is worth compacting."""
        return self._log.wasteful(len(self._messages))

    async def compact(
        self, keep: Callable[[SessionMessage], bool] = lambda _: True
    ) -> tuple[int, int]:
        """Rewrite the file with one line a message; bytes before and after."""
        dropped = {key for key, message in self._messages.items() if not keep(message)}
        sizes = await self._log.compact(lambda message_id: message_id not in dropped)
        for message_id in dropped:
            gone = self._messages.pop(message_id, None)
            self._waiting -= gone is not None and gone.waits
        return sizes

    def _put(self, message: SessionMessage) -> None:
        before = self._messages.get(message.id)
        self._waiting += message.waits - (before is not None and before.waits)
        self._messages[message.id] = message

    def _foreign(self, message: SessionMessage) -> str | None:
        if message.to != self.owner:
            return f"addressed to {message.to[:80]!a}, not to {self.owner}"
        return None


def _keeper(message: SessionMessage) -> tuple[str]:
    """Whose wish decides whether it is sealed: the receiver's; the operator leaves it to others."""
    return (message.from_ if message.to == OPERATOR else message.to,)
