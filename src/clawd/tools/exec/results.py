"""Where long outputs are kept: files in the workspace, the oldest of which go."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from clawd.storage.files import make_private_folder

FOLDER = "results"
KEPT = 100
KEPT_BYTES = 512 * 1024 * 1024


def place_for(id: str, workspace: Path) -> Path:
    """The file that a command's output goes to; room is made for it. Blocks."""
    folder = workspace.resolve() / FOLDER
    make_private_folder(folder)
    # The ids in the names sort by time.
    size = 0
    for number, old in enumerate(sorted(folder.glob("exec-*.txt"), reverse=True)):
        with suppress(OSError):
            size += old.lstat().st_size
            if number >= KEPT or size > KEPT_BYTES:
                old.unlink()
    return folder / f"{id}.txt"
