"""Where deleted files go: a folder in the workspace, emptied from its oldest end."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import dataclass

from clawd.errors import Refused
from clawd.ids import now
from clawd.storage.beneath import FOLDER
from clawd.storage.confine import Spot, open_within
from clawd.storage.workspace import TRASH
from clawd.tools.files.ground import Ground
from clawd.tools.files.refusals import check_regular, explained, outside, shown

MAX_DAYS = 30
MAX_BYTES = 256 * 2**20
MAX_FILES = 1000
"""What the trash holds at most, besides the file that was deleted last."""
_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Deleted:
    """Where a file is now, by its path in the workspace; "" for a folder, which was empty."""

    kept: str
    pruned: int


def delete(ground: Ground, path: str) -> Deleted:
    """Move a file, or a link itself, to the trash; remove a folder that is empty."""
    with ground.changing_at(path, follow=False) as spot:
        status = os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            _remove_folder(path, spot)
            return Deleted("", 0)
        if stat.S_ISLNK(status.st_mode):
            _check_link(ground, path)
        else:
            check_regular(path, status)
        trash = _open_trash(ground)
        try:
            name = _free_name(trash, spot.name)
            _move(path, spot, trash, name)
            pruned = _prune(trash, name)
        finally:
            os.close(trash)
    return Deleted(f"{TRASH}/{name}", pruned)


def _remove_folder(path: str, spot: Spot) -> None:
    try:
        os.rmdir(spot.name, dir_fd=spot.folder)
    except OSError as failure:
        if failure.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise Refused(
            "folder_not_empty",
            f"{shown(path)} is a folder with files in it",
            hint="delete what is in it first",
        ) from None


def _check_link(ground: Ground, path: str) -> None:
    """A link that leads out is the operator's to keep or to remove."""
    try:
        flags = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_CLOEXEC
        os.close(open_within(ground.root, ground.relative(path), flags))
    except OSError as failure:
        if failure.errno == errno.EXDEV:
            raise outside(path) from None


def _open_trash(ground: Ground) -> int:
    try:
        with suppress(FileExistsError):
            os.mkdir(ground.root / TRASH, 0o700)
        return os.open(ground.root / TRASH, FOLDER | os.O_NOFOLLOW)
    except OSError as failure:
        if failure.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(
                "no_trash", f"{TRASH} is not a folder", hint="the operator can move it away"
            ) from None
        raise explained(TRASH, failure) from None


def _free_name(trash: int, name: str) -> str:
    prefix = now().replace(":", "").replace("-", "")
    while True:
        full = os.fsencode(f"{prefix}-{name}")[:_NAME_BYTES]
        free = full.decode(errors="ignore")
        try:
            os.stat(free, dir_fd=trash, follow_symlinks=False)
        except FileNotFoundError:
            return free
        prefix += secrets.token_hex(2)


def _move(path: str, spot: Spot, trash: int, name: str) -> None:
    try:
        os.rename(spot.name, name, src_dir_fd=spot.folder, dst_dir_fd=trash)
    except OSError as failure:
        if failure.errno != errno.EXDEV:
            raise
        raise Refused(
            "other_file_system",
            f"{shown(path)} is on another file system than the trash of the workspace",
            hint="the operator can delete it",
        ) from None
    # The age of what is in the trash counts from here. A link's own time stays as it is.
    with suppress(OSError, NotImplementedError):
        os.utime(name, dir_fd=trash, follow_symlinks=False)
    os.fsync(trash)
    os.fsync(spot.folder)


def _prune(trash: int, newest: str) -> int:
    """Remove what is too old or too much, oldest first; how many files went."""
    with os.scandir(trash) as entries:
        found = [
            (status.st_mtime, entry.name, status.st_size)
            for entry in entries
            if entry.name != newest and not entry.is_dir(follow_symlinks=False)
            for status in (entry.stat(follow_symlinks=False),)
        ]
    oldest = time.time() - MAX_DAYS * 86_400
    size = pruned = 0
    for count, (moved, name, length) in enumerate(sorted(found, reverse=True), 1):
        size += length
        if count >= MAX_FILES or size > MAX_BYTES or moved < oldest:
            with suppress(OSError):
                os.unlink(name, dir_fd=trash)
                pruned += 1
    return pruned
