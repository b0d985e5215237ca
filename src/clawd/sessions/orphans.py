"""What has no session: mailboxes of those that were taken away, folders of those never made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from pathlib import Path

import msgspec

from clawd.comms.mailbox import FILE_NAME
from clawd.comms.manager import SessionCommsManager
from clawd.errors import Invalid, StorageError
from clawd.ids import check_session_id
from clawd.sessions.creation import settle_unfinished

log = logging.getLogger("clawd.sessions")

_FIRST_LINE = 1024 * 1024


class _Address(msgspec.Struct):
    to: str


def orphans(home: Path, sessions: Collection[str], workspaces: Collection[Path]) -> dict[str, Path]:
    """The mailboxes below ``workspaces/`` that belong to nobody, by their owner's id (blocking).

    A folder that a killed daemon made for a session that never came to be is removed.
    """
    settle_unfinished(home / "workspaces", workspaces)
    found: dict[str, Path] = {}
    for path in sorted((home / "workspaces").glob(f"*/{FILE_NAME}")):
        if path.parent in workspaces or path.is_symlink() or not path.is_file():
            continue
        # The folder may have another name than the session: the mail says whose it is.
        try:
            with path.open("rb") as file:
                line = file.readline(_FIRST_LINE)
            owner = check_session_id(msgspec.json.decode(line, type=_Address).to)
        except (OSError, msgspec.DecodeError, Invalid):
            continue
        if owner not in sessions:
            found.setdefault(owner, path)
    return found


async def hold_orphans(
    comms: SessionCommsManager, home: Path, known: set[str], workspaces: set[Path]
) -> None:
    """Hold the mail of sessions that were taken away while the daemon did not run."""
    for owner, path in (await asyncio.to_thread(orphans, home, known, workspaces)).items():
        try:
            await asyncio.to_thread(comms.post.open, owner, path)
            await comms.settling.hold(owner)
        except StorageError as error:
            log.warning("the mail of %s, which is gone, stays as it is: %s", owner, error)
        comms.post.close(owner)
