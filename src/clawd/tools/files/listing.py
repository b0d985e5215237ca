"""What is in a folder, and which files have a name like this."""

from __future__ import annotations

import fnmatch
import os
import stat
from contextlib import suppress
from dataclasses import dataclass

from clawd.errors import Invalid
from clawd.ids import timestamp
from clawd.storage.workspace import MARKS, TRASH, daemons_own
from clawd.tools.files.ground import Ground
from clawd.tools.files.refusals import shown
from clawd.tools.files.walking import Walk

MAX_LISTED = 500
"""Entries that a list shows."""
MAX_PATTERN = 500
_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Listed:
    """Lines to show, of how many; ``stopped`` is why not all were looked at."""

    lines: list[str]
    total: int
    stopped: str = ""


def list_folder(ground: Ground, path: str) -> Listed:
    """The entries of a folder, folders first."""
    lines: list[tuple[bool, str, str]] = []
    total = 0
    with ground.folder(path) as folder, os.scandir(folder) as entries:
        at_top = os.path.samestat(os.fstat(folder), os.stat(ground.root))
        for entry in entries:
            if at_top and entry.name in (TRASH, MARKS):
                continue
            total += 1
            if total > _KEPT:
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            lines.append((not is_folder, entry.name, ""))
        chosen = sorted(lines)[:MAX_LISTED]
        described = [_described(ground, folder, name) for _, name, _ in chosen]
    return Listed(described, total)


def find(ground: Ground, pattern: str, path: str, limit: int) -> Listed:
    """The files below a folder whose path there fits the pattern."""
    if not pattern or len(pattern) > MAX_PATTERN or "\0" in pattern:
        raise Invalid(
            "invalid_pattern",
            f"a pattern has 1 to {MAX_PATTERN} characters",
            hint='such as *.md or "notes/**/*.txt"',
        )
    wanted = pattern.split("/")
    walk, found, total = Walk(), list[str](), 0
    for met in walk.files(ground, path):
        parts = met.below.split("/")
        if fits(parts if len(wanted) > 1 else parts[-1:], wanted):
            total += 1
            if len(found) < limit:
                found.append(_described(ground, met.folder, met.entry.name, met.path))
    return Listed(found, total, walk.stopped)


def fits(parts: list[str], wanted: list[str]) -> bool:
    """Whether the parts of a path fit those of a pattern, in which ``**`` is any number of folders.

    Each part of the path is looked at once for each part of the pattern, however many ``**``.
    """
    reached = {0}
    for part in parts:
        reached = _beyond(reached, wanted)
        reached = {
            at if wanted[at] == "**" else at + 1
            for at in reached
            if at < len(wanted) and (wanted[at] == "**" or fnmatch.fnmatchcase(part, wanted[at]))
        }
    return len(wanted) in _beyond(reached, wanted)


def _beyond(reached: set[int], wanted: list[str]) -> set[int]:
    """These places of the pattern, and those behind a ``**`` that stands for no folder."""
    found = set(reached)
    for at in sorted(reached):
        while at < len(wanted) and wanted[at] == "**":
            at += 1
            found.add(at)
    return found


def _described(ground: Ground, folder: int, name: str, path: str = "") -> str:
    """One entry of a list: its name, what it is, its size and time."""
    line = f"- {shown(path or name)}"
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return f"{line}  gone"
    if stat.S_ISDIR(status.st_mode):
        line += "/"
    elif stat.S_ISLNK(status.st_mode):
        with suppress(OSError):
            line += f" -> {shown(os.readlink(name, dir_fd=folder))}"
    elif stat.S_ISREG(status.st_mode):
        line += f"  {status.st_size:,} bytes  {timestamp(status.st_mtime)[:16]}Z"
    else:
        line += "  no regular file"
    with suppress(OSError):
        if not path and daemons_own(ground.root, folder, name):
            line += "  (kept by clawd)"
    return line
