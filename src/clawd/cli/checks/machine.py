"""The machine below: Python, disk, file system, open files, the clock."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clawd.cli.checks.check import Check, size

FEW_BYTES, TOO_FEW_BYTES = 1 << 30, 32 << 20
FEW_INODES = 1000
FEW_OPEN_FILES = 1024
SLOW_SYNC_SECONDS = 0.1
_MOMENT = 1_700_000_000
"""A day in 2023: a clock that is behind it is not set."""
_FUTURE_SECONDS = 3600
_NETWORKED = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.rclone", "ceph", "afs", "glusterfs")


def machine(home: Path) -> Iterator[Check]:
    """What is checked before anything of clawd's own."""
    # An older one cannot even import this: pyproject.toml and scripts/run refuse it.
    yield Check("python", "ok", f"{platform.python_version()} at {sys.executable}")
    place = home
    while not place.exists():
        place = place.parent
    yield from _disk(place)
    yield from _file_system(place)
    yield from _open_files()
    yield from _clock(home)


def _disk(place: Path) -> Iterator[Check]:
    free = shutil.disk_usage(place).free
    text = f"{size(free)} free"
    try:
        state = os.statvfs(place)
    except OSError:
        state = None
    if state is not None and state.f_flag & os.ST_RDONLY:
        yield Check(
            "disk", "error", f"the file system of {place} is read-only", "mount it for writing"
        )
    elif free < TOO_FEW_BYTES:
        yield Check("disk", "error", text, "make room: soon nothing can be stored")
    elif state is not None and state.f_files and state.f_favail < FEW_INODES:
        text = f"{text}, but room for only {state.f_favail} more files"
        yield Check("disk", "error", text, "remove files that nobody needs")
    else:
        mend = "make room before it is full" if free < FEW_BYTES else ""
        yield Check("disk", "warning" if mend else "ok", text, mend)
    yield from _written(place)


def _written(place: Path) -> Iterator[Check]:
    """Whether a write comes to disk, and how long that takes; the file never has a name."""
    if not hasattr(os, "O_TMPFILE") or not os.access(place, os.W_OK):
        return
    try:
        descriptor = os.open(place, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return  # not on this file system
    try:
        began = time.perf_counter()
        os.write(descriptor, b"\0" * 4096)
        os.fdatasync(descriptor)
        took = time.perf_counter() - began
    except OSError as error:
        text = f"a write below {place} is refused: {(error.strerror or str(error)).lower()}"
        yield Check("disk", "error", text, "make room, raise the quota, or look at the disk")
    else:
        if took > SLOW_SYNC_SECONDS:
            text = (
                f"a write takes {took * 1000:.0f} ms to be on disk, and every message waits for it"
            )
            yield Check("disk", "warning", text, "a faster disk for the home")
    finally:
        os.close(descriptor)


def _file_system(place: Path) -> Iterator[Check]:
    kind = _kind(place)
    if kind.startswith(_NETWORKED):
        text = f"the home is on a network file system ({kind}): locks and syncs may not hold there"
        yield Check("file system", "warning", text, "move the home to a disk of this machine")


def _kind(place: Path) -> str:
    """The type of the file system that holds ``place``, "" where that is not told."""
    best, kind = "", ""
    path = str(place.resolve())
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
            before, _, after = line.partition(" - ")
            point = before.split(" ")[4].replace("\\040", " ")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):
                best, kind = point, after.split(" ")[0]
    return kind


def _open_files() -> Iterator[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEW_OPEN_FILES:
        most = hard if 0 < hard < 4096 else 4096
        mend = f"ulimit -n {most}, then clawd restart"
        if most <= soft:
            mend = "let this user open more (the hard limit of nofile), then clawd restart"
        text = f"a process may open {soft} files at once; many sessions need more"
        yield Check("open files", "warning", text, mend)


def _clock(home: Path) -> Iterator[Check]:
    now = time.time()
    if now < _MOMENT:
        text = f"the clock says {time.strftime('%Y-%m-%d %H:%M')}"
        yield Check("clock", "error", text, "set the clock: times and deadlines hang on it")
        return
    newest, where = 0.0, home
    for path in (*(home / "state").glob("*.jsonl"), *(home / "workspaces").glob("*/*.jsonl")):
        with suppress(OSError):
            changed = path.lstat().st_mtime
            if changed > newest:
                newest, where = changed, path
    if newest > now + _FUTURE_SECONDS:
        text = f"{where} was written {(newest - now) / 3600:.0f} h in the future"
        yield Check("clock", "warning", text, "set the clock; it was ahead, or is behind now")
