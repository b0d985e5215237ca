"""What has no session: mailboxes of those that were taken away, folders of those never made."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from clawd.comms.mailbox import FILE_NAME
from clawd.errors import Invalid
from clawd.ids import check_session_id
from clawd.sessions.creation import settle_unfinished

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
