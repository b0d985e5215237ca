"""A bound on the processes of a sandbox whose user is the machine's root.

``RLIMIT_NPROC`` counts per user namespace, and never binds root. Since Linux 6.14 each pid
namespace has a ``kernel.pid_max`` of its own: it is set from outside, before the command begins,
and the command sees ``/proc`` read-only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

SPARE = 300
"""Ids below this are not used again: a namespace's maximum must leave room above them."""
_SETTING = "/proc/sys/kernel/pid_max"
_LIMIT_SECONDS = 5.0


def needed() -> bool:
    """Whether a limit of the user's processes would not bind."""
    return os.geteuid() == 0


def inside_of(bubblewrap: int) -> int:
    """The first process of the namespace that a running bubblewrap made; 0 when there is none."""
    try:
        children = Path(f"/proc/{bubblewrap}/task/{bubblewrap}/children").read_text("ascii")
    except OSError:
        return 0
    return int(children.split()[0]) if children.split() else 0


def bound(first: int, processes: int) -> bool:
    """Let a namespace have so many processes (up to 300 more); false when the kernel cannot.

    ``first`` is its first process. Blocks for some milliseconds.
    """
    if shutil.which("nsenter") is None or not _own_maximum():
        return False
    # In sh, `echo` is no program of its own; the file is the namespace's that the writer is in.
    line = ["nsenter", "-t", str(first), "-p", "sh", "-c"]
    line.append(f"echo {SPARE + processes} > {_SETTING}")
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def counted_apart() -> bool:
    """Whether ``RLIMIT_NPROC`` counts the sandbox alone, not all that its user runs."""
    return _kernel() >= (5, 14)


def _own_maximum() -> bool:
    """Whether the setting is a namespace's own; on older kernels it would be the machine's."""
    return _kernel() >= (6, 14)


def _kernel() -> tuple[int, int]:
    numbers = re.findall(r"\d+", os.uname().release)
    return (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else (0, 0)
