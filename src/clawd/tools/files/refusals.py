"""What may not be done with a file, said in one sentence with its mend."""

from __future__ import annotations

import errno
import os
import re
import stat

from clawd.errors import ClawdError, Invalid, NotFound, Refused
from clawd.fences import escaped
from clawd.storage.failures import FULL, storage_error

_PLAIN = re.compile(r"[\w.@+=,()#%~/-]+")


def shown(name: str) -> str:
    """A name as it stands in a text: in quotes, which it cannot end, unless it is a plain one."""
    return name if _PLAIN.fullmatch(name) and name.isprintable() else f'"{escaped(name, "")}"'


def outside(path: str) -> Refused:
    """The path leads out of the workspace."""
    return Refused(
        "outside_workspace",
        f"{shown(path[:200])} leads out of the workspace",
        hint="name a file inside the workspace by its path there, such as notes/plan.md",
    )


def check_regular(path: str, status: os.stat_result) -> None:
    """``Refused`` for anything but a regular file that has this one name."""
    if stat.S_ISDIR(status.st_mode):
        raise is_folder(path)
    if not stat.S_ISREG(status.st_mode):
        raise not_regular(path, _kind(status.st_mode))
    if status.st_nlink > 1:
        raise Refused(
            "hard_link",
            f"{shown(path)} has {status.st_nlink} names (hard links): it may be one of elsewhere",
            hint="the operator can put a copy there in its place",
        )


def is_folder(path: str) -> Invalid:
    """A folder where a file was to be."""
    return Invalid("is_a_folder", f"{shown(path)} is a folder", hint="name a file in it")


def not_regular(path: str, kind: str = "a pipe, a socket or a device") -> Refused:
    """Neither a file nor a folder."""
    return Refused(
        "not_a_regular_file",
        f"{shown(path)} is {kind}, not a regular file",
        hint="name a regular file",
    )


def daemons(path: str) -> Refused:
    """A file that the daemon alone writes."""
    return Refused(
        "kept_by_clawd",
        f"{shown(path)} is kept by clawd: it can be read, and not be written or deleted",
        hint="use a name of your own",
    )


def too_large(path: str, size: int, limit: int, hint: str) -> Invalid:
    """More bytes than a tool takes."""
    return Invalid(
        "too_large",
        f"{shown(path)} has {size:,} bytes, the limit is {limit:,}",
        hint=hint,
        limit=limit,
        value=size,
    )


def explained(path: str, failure: OSError) -> ClawdError:
    """What the system refused, for whoever named the path."""
    number, name = failure.errno or 0, shown(path[:200])
    if number == errno.EXDEV:
        return outside(path)
    if number == errno.ENOENT:
        return NotFound(
            "file_not_found", f"there is no {name}", hint="list_dir and find_files show what is"
        )
    if number == errno.ENOTDIR:
        return Invalid("not_a_folder", f"a part of {name} is a file, not a folder")
    if number == errno.EISDIR:
        return is_folder(path)
    if number == errno.ELOOP:
        return Refused("link_loop", f"{name} goes through links that never end")
    if number == errno.ENAMETOOLONG:
        return Invalid("invalid_path", f"{name} is too long for a file's name")
    if number == errno.ENXIO:
        return not_regular(path)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Refused(
            "permission_denied",
            f"{name}: the system refuses it ({os.strerror(number).lower()})",
            hint="the operator can change the rights of the file or its folder",
        )
    if number in FULL:
        return storage_error(path, failure)
    return Refused("file_failed", f"{name}: {(failure.strerror or str(failure)).lower()}")


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a link" if stat.S_ISLNK(mode) else "a device"
