"""Putting whole files in place through the descriptor of their folder."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from clawd.storage.confine import Spot
from clawd.storage.files import sync_file, write_all

_PREFIX, _SUFFIX = ".write.", ".tmp"
_STALE_SECONDS = 3600.0


def place_file(
    spot: Spot, data: bytes, mode: int, finish: Callable[[int], object] = lambda _: None
) -> None:
    """Put a whole file at ``spot``: afterwards, and after any crash, the old or the new.

    What is there under that name is replaced, be it a link. ``finish`` gets the descriptor of the
    new file before it has its name. Raises ``OSError``; the old file is then untouched.
    """
    _remove_stale(spot.folder)
    temporary = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600, dir_fd=spot.folder)
    try:
        try:
            write_all(descriptor, data)
            os.fchmod(descriptor, mode)
            finish(descriptor)
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, spot.name, src_dir_fd=spot.folder, dst_dir_fd=spot.folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=spot.folder)
        raise
    os.fsync(spot.folder)


def _remove_stale(folder: int) -> None:
    """Remove what a killed process left in this folder."""
    oldest = time.time() - _STALE_SECONDS
    with os.scandir(folder) as entries:
        left = [e.name for e in entries if e.name.startswith(_PREFIX) and e.name.endswith(_SUFFIX)]
    for name in left:
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < oldest:
                os.unlink(name, dir_fd=folder)
