"""The indexes of notes: made from files, so that damage costs nothing but time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clawd.tools.memory.index import sound
from clawd.upkeep.findings import FileReport, Finding

FOLDER = "memory"
"""Where they are, in ``state/``."""


def indexes(state: Path, *, live: bool, repair: bool) -> Iterator[FileReport]:
    """Each index with what is wrong with it; with ``repair`` a damaged one is removed.

    While a daemon runs they are its own, and change all the time: none is looked at.
    """
    if live:
        return
    for path in sorted((state / FOLDER).glob("*.sqlite")):
        report = FileReport(path, "index", path.stem)
        report.bytes = path.lstat().st_size
        if problem := _wrong(path):
            finding = Finding("damage", "index", f"{problem}; the next search makes it anew")
            if repair:
                finding.mended = _removed(path)
            report.findings.append(finding)
        yield report


def _removed(path: Path) -> str:
    """Take an index away, and say so; "" when something else stands in its place."""
    if path.is_dir() and not path.is_symlink():
        return ""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return "removed: it is made anew from the notes"


def _wrong(path: Path) -> str:
    """What is wrong with an index, without a change to any file beside it."""
    if path.is_symlink() or not path.is_file():
        return "it is not a regular file"
    log = path.with_name(f"{path.name}-wal")
    if not log.exists():
        return sound(path)
    # A killed daemon left it: SQLite would take it in, so it does that with a copy.
    with tempfile.TemporaryDirectory(prefix="clawd-") as folder:
        for each in (path, log):
            shutil.copyfile(each, Path(folder, each.name))
        return sound(Path(folder, path.name), copied=True)
