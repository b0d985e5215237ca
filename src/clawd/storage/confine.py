"""Opening a file so that no link can lead out of a folder."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

_OPENAT2 = 437 if sys.platform == "linux" else -1
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
_RACES = 8


class _OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def open_within(root: Path, name: str) -> int:
    """A descriptor for reading ``name`` in ``root``; never waits. Raises ``OSError``.

    A link may point anywhere inside ``root``; one that leads out is refused with ``EXDEV``.
    """
    if "\0" in name:
        raise OSError(errno.EINVAL, "a file name cannot have a NUL")
    folder = os.open(root, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open_beneath(folder, name)
    except OSError as failure:
        if failure.errno == errno.EXDEV:
            # An absolute link counts as leading out, even back into the folder: resolve it.
            return _open_beneath(folder, _inside(root, name))
        if failure.errno in _ABSENT:
            return _open_resolved(root, name)
        raise
    finally:
        os.close(folder)


def _open_beneath(folder: int, name: str) -> int:
    if _OPENAT2 < 0:
        raise OSError(errno.ENOSYS, "openat2 is Linux's own", name)
    how = _OpenHow(_FLAGS, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    number = errno.EAGAIN
    for _ in range(_RACES):
        descriptor = _syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(folder),
            ctypes.c_char_p(os.fsencode(name)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if descriptor >= 0:
            return int(descriptor)
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), name)


def _open_resolved(root: Path, name: str) -> int:
    """For systems without openat2: a link put there between the look and the open is refused."""
    return os.open(
        os.path.join(os.path.realpath(root), _inside(root, name)), _FLAGS | os.O_NOFOLLOW
    )


def _inside(root: Path, name: str) -> str:
    """The path relative to ``root`` that ``name`` comes to, links resolved."""
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(real_root, name))
    if os.path.commonpath((real_root, real)) != real_root:
        raise OSError(errno.EXDEV, "it leads out of its folder", name)
    return os.path.relpath(real, real_root)
