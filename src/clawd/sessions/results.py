"""Results of tools that are too long to be shown: cut, and kept whole in the workspace."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from clawd.agent.tool import fitting
from clawd.agent.trust import Trust
from clawd.errors import StorageError
from clawd.ids import new_id
from clawd.storage.confine import READ, Spot
from clawd.storage.files import make_private_folder
from clawd.storage.placing import place_file
from clawd.storage.provenance import mark

SHOWN = 200_000
"""How many characters of a result enter a conversation: some 50,000 tokens."""
FOLDER = "results"
KEPT = 100
"""How many whole results a workspace has; the oldest go."""
KEPT_BYTES = 256 * 1024 * 1024
"""How long they are together, but for the newest, which is always kept."""


async def shown_part(workspace: Path, result: str, trust: Trust, *, private: bool) -> str:
    """The result as the model is to see it; a long one is cut and names the file that has it all.

    In a turn that has read text from outside the file is marked, for who reads on in a later one.
    ``private``: the session's content is sealed on disk, so nothing is kept in a plain file.
    """
    if len(result) <= SHOWN:
        return fitting(result)
    head, tail = SHOWN * 3 // 4, SHOWN // 4
    source = ", ".join(trust.sources)
    where = "" if private else await asyncio.to_thread(_keep, workspace, result, source)
    mark = f"the result was cut: {SHOWN} of its {len(result)} characters"
    mark += f"; the whole is in {where}" if where else ""
    return fitting(f"{result[:head]}\n[clawd: {mark}]\n{result[-tail:]}")


def _keep(workspace: Path, result: str, source: str) -> str:
    folder, name = workspace / FOLDER, f"{new_id('result')}.txt"

    def finish(descriptor: int) -> None:
        if source:
            mark(workspace, descriptor, source)

    try:
        make_private_folder(folder)
        descriptor = os.open(folder, READ | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            place_file(Spot(descriptor, name), result.encode(errors="replace"), 0o600, finish)
        finally:
            os.close(descriptor)
    except (OSError, StorageError):
        # A full disk costs the rest of a result, not the turn.
        return ""
    _forget(folder)
    return f"{FOLDER}/{name}"


def _forget(folder: Path) -> None:
    """Remove the oldest until the rest is within bounds."""
    bytes_kept = 0
    for number, file in enumerate(sorted(folder.glob("result-*.txt"), reverse=True)):
        with suppress(OSError):
            bytes_kept += file.lstat().st_size
            if number and (number >= KEPT or bytes_kept > KEPT_BYTES):
                file.unlink()
