"""What a command may take: memory, processes, sizes of files, a place in the queue for the CPU.

The limits are set by a few words of shell in front of the command, inside the sandbox: there the
user namespace counts its own processes alone, and no code runs between fork and exec here.
"""

from __future__ import annotations

from dataclasses import dataclass

_FILE_BLOCK = 512
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on each process (memory, files) and on all of a sandbox together (processes).

    ``memory_mib`` bounds what a process can write to (``RLIMIT_DATA``), not the addresses that it
    reserves: node and Java reserve far more than they use.
    """

    memory_mib: int = 2048
    processes: int = 512
    """Threads count too. Does not bind the machine's root; see ``clawd.sandbox.pids``."""
    file_mib: int = 4096
    """The largest file that it can write."""
    open_files: int = 4096
    nice: int = 0
    """How far the command stands back from the daemon and from everyone else."""


def prelude(limits: Limits, *, count_processes: bool = True) -> str:
    """Shell that sets the limits, a line each; the command follows.

    What cannot be set is stricter already, or is not this system's: the rest still holds.
    ``dash`` and ``busybox`` call the number of processes ``-p``, ``bash`` calls it ``-u``.
    """
    count = limits.processes
    lines = [
        "ulimit -c 0",
        f"ulimit -d {limits.memory_mib * 1024}",
        f"ulimit -f {limits.file_mib * _MIB // _FILE_BLOCK}",
        f"ulimit -n {limits.open_files}",
    ]
    if count_processes:
        lines.append(f"ulimit -p {count} || ulimit -u {count}")
    return "{ " + "; ".join(lines) + "; } 2>/dev/null"
