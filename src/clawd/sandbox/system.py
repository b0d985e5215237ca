"""What of the machine's own files a command is shown, and which of them are secret."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LINKED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FOLDERS = ("usr", "etc", "opt", "nix/store", "run/current-system")
_RESOLVER = Path("/etc/resolv.conf")
_SECRETS = ("ssl/private", "pki/tls/private", "letsencrypt", "wireguard", "openvpn")
_LOOK_SECONDS = 60.0
_MOST_FILES = 20_000


@dataclass(frozen=True, slots=True)
class System:
    """The machine's folders, links to them (``/bin``), and what in them nobody else may see."""

    folders: tuple[Path, ...]
    links: tuple[tuple[str, Path], ...] = ()
    """Where each leads, and its own path."""
    secrets: tuple[Path, ...] = ()
    """Files and folders below ``/etc`` that other users of the machine cannot read either."""
    resolver: Path | None = None
    """Where ``/etc/resolv.conf`` leads, when that is not in one of the folders."""


def look(root: Path = Path("/")) -> System:
    """Look at the machine; a few milliseconds, blocking."""
    folders, links = [], []
    for name in (*_LINKED, *_FOLDERS):
        path = root / name
        if name in _LINKED and path.is_symlink():
            links.append((os.readlink(path), path))
        elif path.is_dir():
            folders.append(path)
    resolver = _RESOLVER.resolve()
    inside = any(resolver.is_relative_to(folder) for folder in folders)
    return System(
        tuple(folders),
        tuple(links),
        tuple(sorted(_secrets(root / "etc"))),
        None if inside or not resolver.is_file() else resolver,
    )


_seen: tuple[float, System] | None = None


def system() -> System:
    """As ``look``, remembered for a minute."""
    global _seen
    if _seen is None or time.monotonic() - _seen[0] > _LOOK_SECONDS:
        _seen = (time.monotonic(), look())
    return _seen[1]


def _secrets(etc: Path) -> Iterator[Path]:
    """What the mode keeps from others, which root's commands could read all the same."""
    named = (etc / name for name in _SECRETS)
    yield from (path for path in named if path.is_dir() and os.access(path, os.X_OK))
    seen, folders = 0, [etc]
    while folders and seen < _MOST_FILES:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if entry.is_symlink():
                continue
            folder = entry.is_dir(follow_symlinks=False)
            mode = entry.stat(follow_symlinks=False).st_mode
            closed = not mode & (stat.S_IXOTH if folder else stat.S_IROTH)
            if closed and (folder or stat.S_ISREG(mode)):
                # What this user cannot read either needs no mount, and each takes time.
                if os.access(entry.path, os.X_OK if folder else os.R_OK):
                    yield Path(entry.path)
            elif folder:
                folders.append(Path(entry.path))
