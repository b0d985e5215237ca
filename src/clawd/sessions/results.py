"""Results of tools that are too long to be shown: cut, and kept whole in the workspace."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from clawd.agent.tool import fitting
from clawd.errors import StorageError
from clawd.ids import new_id
from clawd.storage.files import atomic_write, make_private_folder

SHOWN = 200_000
"""How many characters of a result enter a conversation: some 50,000 tokens."""
FOLDER = "results"
KEPT = 100
"""How many whole results a workspace has; the oldest go."""


async def shown_part(workspace: Path, result: str, *, private: bool) -> str:
    """The result as the model is to see it; a long one is cut and names the file that has it all.

    ``private``: the session's content is sealed on disk, so nothing is kept in a plain file.
    """
    if len(result) <= SHOWN:
        return fitting(result)
    head, tail = SHOWN * 3 // 4, SHOWN // 4
    where = "" if private else await asyncio.to_thread(_keep, workspace / FOLDER, result)
    mark = f"the result was cut: {SHOWN} of its {len(result)} characters"
    mark += f"; the whole is in {where}" if where else ""
    return fitting(f"{result[:head]}\n[clawd: {mark}]\n{result[-tail:]}")


def _keep(folder: Path, result: str) -> str:
    name = f"{new_id('result')}.txt"
    try:
        make_private_folder(folder)
        if folder.is_symlink():
            return ""
        atomic_write(folder / name, result.encode(errors="replace"))
    except (OSError, StorageError):
        # A full disk costs the rest of a result, not the turn.
        return ""
    for old in sorted(folder.glob("result-*.txt"))[:-KEPT]:
        with suppress(OSError):
            old.unlink()
    return f"{FOLDER}/{name}"
