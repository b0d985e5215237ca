"""What the daemon takes of its machine: for whoever watches whether it grows."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from pathlib import Path

from clawd.messages import JSON


def resources() -> JSON:
    """``{tasks, threads, openFiles, memoryBytes}``; the last two only where ``/proc`` tells."""
    taken: JSON = {"tasks": len(asyncio.all_tasks()), "threads": threading.active_count()}
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        taken["memoryBytes"] = pages * os.sysconf("SC_PAGE_SIZE")
        taken["openFiles"] = len(os.listdir("/proc/self/fd"))
    return taken
