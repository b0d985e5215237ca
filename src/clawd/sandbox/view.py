"""What a command sees: one folder to work in, the system read-only, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Paths = tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class View:
    """The part of the file system that a command is shown; every path is absolute and resolved.

    What is named nowhere here and is not the system's does not exist for the command. Of two
    paths one of which lies in the other, the deeper one counts; of the same path what comes later
    in ``workspace``, ``writable``, ``hidden``, ``readable``.
    """

    workspace: Path
    """Where it may write, and where it starts."""
    hidden: Paths = ()
    """Folders and files that are empty for it: clawd's home, other sessions' workspaces."""
    readable: Paths = ()
    """Folders and files that it sees but cannot change, in the workspace too. Missing: left out."""
    writable: Paths = ()
    """Further folders and files that it may change. Missing ones are left out."""
    network: bool = False
    """Whether it is on the machine's network, its own services included; else on none."""
    folder: Path | None = None
    """Where it starts, if that is not the workspace."""
    scratch_mib: int = 512
    """The size of its private ``/tmp``, and of ``/dev/shm``."""
