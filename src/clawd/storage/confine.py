"""Opening, making and replacing files so that no link can lead out of a folder.

Reading opens a name beneath a root. Whatever changes a folder works in it by its descriptor
(``spot_within``): a folder that is exchanged for a link in between makes no difference.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clawd.storage.beneath import FOLDER, MAX_LINKS, inside, leads_out, open_stepwise

_OPENAT2 = 437 if sys.platform == "linux" else -1
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Opening for reading that never waits, be it a pipe or a terminal."""
_ABSENT = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
_RACES = 8


class _OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def open_within(root: Path, name: str, flags: int = READ) -> int:
    """A descriptor for what is at ``name`` in ``root``; never waits. Raises ``OSError``.

    A link may point anywhere inside ``root``; one that leads out is refused with ``EXDEV``.
    """
    if "\0" in name:
        raise OSError(errno.EINVAL, "a file name cannot have a NUL")
    folder = os.open(root, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open_beneath(folder, name, flags)
    except OSError as failure:
        if failure.errno == errno.EXDEV:
            # An absolute link counts as leading out, even back into the folder: resolve it.
            return _open_beneath(folder, inside(os.path.realpath(root), name), flags)
        if failure.errno in _ABSENT:
            return open_stepwise(os.path.realpath(root), name, flags)
        raise
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a file is, or would be: its folder, open, and its name there."""

    folder: int
    name: str


MayMake = Callable[[Spot], object]
"""Told of a folder before it is made; raises what forbids it."""


@contextmanager
def spot_within(
    root: Path, name: str, *, may_make: MayMake | None = None, follow: bool = True
) -> Iterator[Spot]:
    """The place of ``name`` in ``root``, also of a file that is not there yet. ``OSError``.

    With ``may_make`` missing folders above it are made (mode 0700). With ``follow`` a link is
    gone after, to the place that it names. ``EXDEV`` for what leads out, ``EISDIR`` for a name
    that can only be a folder's.
    """
    if "\0" in name:
        raise OSError(errno.EINVAL, "a file name cannot have a NUL")
    for _ in range(MAX_LINKS):
        parent, last = os.path.split(name)
        if last in ("", ".", ".."):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        folder = _folder(root, parent, may_make)
        try:
            target = _link(folder, last) if follow else ""
            if not target:
                yield Spot(folder, last)
                return
        finally:
            os.close(folder)
        if target.startswith("/"):
            name = inside(os.path.realpath(root), target)
        else:
            name = os.path.join(parent, target)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)


def _link(folder: int, name: str) -> str:
    """Where a link points; "" for what is none, or is not there."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as failure:
        if failure.errno not in (errno.EINVAL, errno.ENOENT):
            raise
        return ""


def _folder(root: Path, name: str, may_make: MayMake | None) -> int:
    """The folder, open for changes in it; made with all above it where ``may_make`` allows."""
    try:
        return open_within(root, name or ".", FOLDER)
    except FileNotFoundError:
        if may_make is None:
            raise
    so_far = ""
    folder = open_within(root, ".", FOLDER)
    for part in name.split("/"):
        so_far = f"{so_far}{part}/"
        try:
            below = open_within(root, so_far.rstrip("/") or "/", FOLDER)
        except FileNotFoundError:
            try:
                _make(Spot(folder, part), may_make)
                below = open_within(root, so_far, FOLDER)
            except BaseException:
                os.close(folder)
                raise
        except BaseException:
            os.close(folder)
            raise
        os.close(folder)
        folder = below
    return folder


def _make(spot: Spot, may_make: MayMake) -> None:
    if spot.name in ("", ".", ".."):
        raise leads_out(spot.name)
    may_make(spot)
    try:
        os.mkdir(spot.name, 0o700, dir_fd=spot.folder)
    except FileExistsError:
        # Made at the same time; or a link to nowhere, which opening it tells.
        return
    os.fsync(spot.folder)


def _open_beneath(folder: int, name: str, flags: int) -> int:
    if _OPENAT2 < 0:
        raise OSError(errno.ENOSYS, "openat2 is Linux's own", name)
    how = _OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
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
