"""What the names in a workspace mean: who a session is, and what the daemon alone writes.

Names are compared as the least particular file system does: without case, composed or not, with
what nobody sees left out.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from clawd.storage.beneath import FOLDER, leads_out

IDENTITY_FILES = ("IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md")
"""What defines a session, at the top of its workspace."""

TRASH = ".trash"
RESULTS = "results"
MARKS = ".untrusted.json"
"""Which files hold text from outside, where the file system cannot say it of a file itself."""

DAEMONS_FOLDERS = ("logs", RESULTS, TRASH)
"""Folders at the top of a workspace that the daemon alone writes to, with all that is in them."""

NOTES = "memory"
"""The folder of notes: a session may write ``*.md`` there, an index is the daemon's."""

_DAEMONS = re.compile(
    r"(session_messages|history|schedules)\.jsonl(\..+)?"
    r"|\.unfinished"
    r"|\.untrusted\.json"
    r"|\..+\.\d+-[0-9a-f]{8}\.tmp"
)
"""Names at the top of a workspace that the daemon alone writes; copies of damaged lines too."""

_MAX_DEPTH = 4096
_UNSEEN = frozenset({"Cc", "Cf"})


def plain(name: str) -> str:
    """A name as file systems without case would compare it."""
    seen = "".join(c for c in name if unicodedata.category(c) not in _UNSEEN)
    return unicodedata.normalize("NFKC", seen).casefold()


_IDENTITY = {plain(name): name for name in IDENTITY_FILES}


def identity_file(path: str, workspace: Path | None = None) -> str:
    """The identity file that a path names, read by its letters alone; "" for none.

    ``path`` is relative to the workspace, or absolute when ``workspace`` is given. A tool that
    writes refuses an identity file by any other name (``identity_at``): this answer is final.
    """
    if workspace is not None and path.startswith("/"):
        roots = (os.fspath(workspace), os.path.realpath(workspace))
        named = [os.path.relpath(path, root) for root in roots]
    else:
        named = [os.path.normpath(path)]
    return next((_IDENTITY[name] for name in map(plain, named) if name in _IDENTITY), "")


def is_identity(path: str, workspace: Path | None = None) -> bool:
    """Whether a path names an identity file; see ``identity_file``."""
    return identity_file(path, workspace) != ""


def identity_at(root: Path, folder: int, name: str) -> str:
    """The identity file that ``name`` in the open ``folder`` really is, by whatever way."""
    top = os.stat(root)
    if os.path.samestat(top, os.fstat(folder)) and plain(name) in _IDENTITY:
        return _IDENTITY[plain(name)]
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return ""
    for identity in IDENTITY_FILES:
        try:
            # A link that stands for it, as some keep these files elsewhere in the workspace.
            if os.path.samestat(os.stat(root / identity), there):
                return identity
        except OSError:
            continue
    return ""


def daemons_own(root: Path, folder: int, name: str) -> str:
    """What of the daemon's own ``name`` in the open ``folder`` beneath ``root`` is; "" for nothing.

    The answer is a name at the top of the workspace. ``OSError`` with ``EXDEV`` when the folder is
    not, or no more, beneath ``root``.
    """
    top = _top_folder(os.stat(root), folder)
    if top is None:
        return plain(name) if is_daemons_name(name) else ""
    for own in DAEMONS_FOLDERS:
        if _same(root / own, top):
            return own
    return NOTES if _same(root / NOTES, top) and not plain(name).endswith(".md") else ""


def is_daemons_name(name: str) -> bool:
    """Whether the daemon alone writes what has this name at the top of a workspace."""
    known = plain(name)
    return known in DAEMONS_FOLDERS or _DAEMONS.fullmatch(known) is not None


def _same(path: Path, other: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), other)
    except OSError:
        return False


def _top_folder(root: os.stat_result, folder: int) -> os.stat_result | None:
    """The folder directly beneath the root that ``folder`` is in, or is; ``None`` for the root.

    Found by going up, for only that cannot be led astray by links.
    """
    below: os.stat_result | None = None
    here = os.dup(folder)
    try:
        for _ in range(_MAX_DEPTH):
            status = os.fstat(here)
            if os.path.samestat(status, root):
                return below
            if below is not None and os.path.samestat(status, below):
                break
            below = status
            above = os.open("..", FOLDER, dir_fd=here)
            os.close(here)
            here = above
    finally:
        os.close(here)
    raise leads_out("")
