"""Text from outside in a workspace: which commands may have read, or written.

Nothing tells what a command opens. So a command in a workspace that holds a marked file counts as
one that read it, and what changed while a marked turn's command ran counts as written by it.
Everything here blocks: a millisecond for a thousand files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clawd.storage import provenance
from clawd.storage.workspace import DAEMONS_FOLDERS, MARKS
from clawd.tools.exec.output import Output

MOST_FILES = 20_000


def marked(workspace: Path) -> str:
    """Where the text of some marked file came from, "" when there is none among the first 20,000.

    What the daemon keeps there does not count, except where commands leave their outputs.
    """
    if (workspace / MARKS).exists():
        return "the workspace's files"
    for entry in _files(workspace, {"logs"}):
        with suppress(OSError):
            return os.getxattr(entry.path, provenance.ATTRIBUTE, follow_symlinks=False).decode(
                errors="replace"
            )
    return ""


def mark_changed(workspace: Path, since: float, source: str) -> None:
    """Mark what was changed after a moment, in seconds since 1970."""
    for entry in _files(workspace, set(DAEMONS_FOLDERS)):
        with suppress(OSError):
            if entry.stat(follow_symlinks=False).st_ctime >= since:
                _mark(workspace, entry.path, source)


def mark_output(workspace: Path, output: Output, source: str) -> None:
    """Mark the file that an output is kept in, if there is one."""
    if output.kept is not None:
        provenance.mark(workspace, output.descriptor, source)


def _mark(workspace: Path, path: str, source: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            provenance.mark(workspace, descriptor, source)
    finally:
        os.close(descriptor)


def _files(workspace: Path, without: set[str]) -> Iterator[os.DirEntry[str]]:
    left, seen = [str(workspace)], 0
    while left and seen < MOST_FILES:
        here = left.pop()
        try:
            entries = list(os.scandir(here))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if entry.is_dir(follow_symlinks=False):
                if here != str(workspace) or entry.name not in without:
                    left.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
