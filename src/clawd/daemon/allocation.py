"""What the allocator of the C library keeps of freed memory: little, in a daemon of months."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_LARGE = 128 * 1024
_ARENAS = 2


def give_back() -> None:
    """Let large blocks go back to the system as soon as they are free; nothing without glibc.

    By itself it cuts blocks out of one heap that are as large as any which was ever freed, up to
    32 MiB, and keeps the heap as far as its last live byte: one flood, and all that comes later
    leaves holes. Each thread has a heap of its own besides, with holes of its own.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)
        mallopt(_ARENA_MAX, _ARENAS)
