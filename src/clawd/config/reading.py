"""Reading a small file that the daemon keeps, whatever stands in its place."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_BYTES = 16 * 2**20


def read_regular(path: Path) -> bytes:
    """The content of a regular file; ``OSError`` for anything else. Never waits for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        return stream.read(MAX_BYTES)
