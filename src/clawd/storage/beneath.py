"""Opening a file beneath a folder step by step, for systems without openat2.

Each step opens one name relative to a descriptor and follows no link; what a link says is read
and walked in the same way. Whatever is exchanged meanwhile, no step leads out of the folder.
"""

from __future__ import annotations

import errno
import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
MAX_LINKS = 40
MAX_BYTES = 4096


def open_stepwise(root: str, name: str, flags: int) -> int:
    """A descriptor for ``name`` beneath ``root``, a path without links. Raises ``OSError``.

    ``EXDEV`` for what leads out; a link may point anywhere inside, also by its full path.
    """
    if len(os.fsencode(name)) >= MAX_BYTES:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name[:80])
    walk = _Walk(root)
    try:
        return walk.open(name, flags)
    finally:
        walk.close()


def inside(root: str, path: str) -> str:
    """The path relative to ``root``, a path without links, that ``path`` comes to.

    ``path`` is taken relative to ``root``; ``OSError`` with ``EXDEV`` when it leads out.
    """
    real = os.path.realpath(os.path.join(root, path))
    if os.path.commonpath((root, real)) != root:
        raise leads_out(path)
    return os.path.relpath(real, root)


def leads_out(name: str) -> OSError:
    """The error for a name that leads out of its folder."""
    return OSError(errno.EXDEV, "it leads out of its folder", name)


class _Walk:
    """The folders from the root to where the walk is, each held open."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._open = [os.open(root, FOLDER)]

    def open(self, name: str, flags: int) -> int:
        if name.startswith("/"):
            name = inside(self._root, name)
        left = name.split("/")[::-1]
        links = 0
        while left:
            step = left.pop()
            if step == "..":
                self._up(name)
            elif step not in ("", "."):
                target = self._link(step)
                if target is None:
                    if not any(part not in ("", ".") for part in left):
                        # Something after the last name, as in "file/", asks for a folder.
                        asked = flags | (os.O_DIRECTORY if left else 0)
                        return os.open(step, asked | os.O_NOFOLLOW, dir_fd=self._open[-1])
                    flag = FOLDER | os.O_NOFOLLOW
                    self._open.append(os.open(step, flag, dir_fd=self._open[-1]))
                    continue
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
                if target.startswith("/"):
                    target = inside(self._root, target)
                    self._back()
                left += target.split("/")[::-1]
        return os.open(".", flags, dir_fd=self._open[-1])

    def close(self) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    def _up(self, name: str) -> None:
        if len(self._open) == 1:
            raise leads_out(name)
        os.close(self._open.pop())

    def _back(self) -> None:
        while len(self._open) > 1:
            os.close(self._open.pop())

    def _link(self, step: str) -> str | None:
        """Where a link points; ``None`` for what is none."""
        try:
            return os.readlink(step, dir_fd=self._open[-1])
        except OSError as failure:
            if failure.errno != errno.EINVAL:
                raise
            return None
