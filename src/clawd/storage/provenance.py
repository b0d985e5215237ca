"""Which files hold what a turn wrote after it had read text from outside.

The mark is an extended attribute of the file: it goes along when the file is moved. Where the
system or the file system has none, the workspace's ``.untrusted.json`` lists the inodes instead.
Everything here blocks.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

from clawd.errors import ClawdError
from clawd.storage.confine import open_within
from clawd.storage.files import atomic_write
from clawd.storage.workspace import MARKS

ATTRIBUTE = "user.clawd.untrusted"
MAX_SOURCE = 200
"""Characters of a source that are kept."""
_MAX_LISTED = 10_000
_EVERY = "*"
"""Stands for every file, once there are more than can be listed."""
_MAX_BYTES = 8 * 2**20

_lock = threading.Lock()


def mark(root: Path, descriptor: int, source: str) -> bool:
    """Note that the open file holds text from ``source``, which is not empty.

    False when that could be kept nowhere; ``root`` is the workspace that the file is in.
    """
    source = " ".join(source.split())[:MAX_SOURCE] or "outside"
    try:
        os.setxattr(descriptor, ATTRIBUTE, source.encode(errors="replace"))
    except (OSError, AttributeError):
        return _note(root, descriptor, source)
    return True


def clear(root: Path, descriptor: int) -> None:
    """The open file, which is new and whole, holds nothing from outside."""
    if (root / MARKS).exists():
        # The number of a file that is gone may be this one's now.
        _note(root, descriptor, "")


def source_of(root: Path, descriptor: int) -> str:
    """Where the text of the open file comes from, when it is from outside; else ""."""
    try:
        return os.getxattr(descriptor, ATTRIBUTE).decode(errors="replace")[:MAX_SOURCE] or "outside"
    except (OSError, AttributeError):
        listed = _listed(root)
    if listed is None:
        return "outside"
    return listed.get(_number(descriptor), listed.get(_EVERY, ""))


def source_of_path(path: Path, root: Path) -> str:
    """As ``source_of`` for a file by its name; "" for what is not there, or no file."""
    try:
        descriptor = open_within(root, os.path.relpath(path, root))
    except OSError:
        return ""
    try:
        return source_of(root, descriptor) if stat.S_ISREG(os.fstat(descriptor).st_mode) else ""
    finally:
        os.close(descriptor)


def _number(descriptor: int) -> str:
    return str(os.fstat(descriptor).st_ino)


def _listed(root: Path) -> dict[str, str] | None:
    """Sources by inode; ``None`` for a list that nobody can read, which says the worst of all."""
    if not os.path.lexists(root / MARKS):
        return {}
    try:
        descriptor = open_within(root, MARKS)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        try:
            found = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
    if not isinstance(found, dict):
        return None
    return {str(number): str(source) for number, source in found.items()}


def _note(root: Path, descriptor: int, source: str) -> bool:
    with _lock:
        listed = _listed(root)
        if listed is None:
            # It stands for every file until the operator has looked at it.
            return True
        number = _number(descriptor)
        if listed.pop(number, "") == "" and not source:
            return True
        if source:
            listed[number] = source
        if len(listed) > _MAX_LISTED:
            listed = {_EVERY: "outside, as one of very many files"}
        try:
            atomic_write(root / MARKS, json.dumps(listed, indent=0).encode())
        except (OSError, ClawdError):
            return False
    return True
