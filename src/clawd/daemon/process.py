"""The daemon as a process: its home, what it keeps to itself, its exit code."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from clawd.daemon.allocation import give_back
from clawd.daemon.hardening import keep_private
from clawd.errors import ClawdError
from clawd.storage.files import HomeLock, make_private_folder


def main(home: Path, log_to_stderr: bool) -> int:
    """Run a daemon on this home until it is told to stop; the exit code."""
    began = time.perf_counter()
    keep_private()
    give_back()
    logging.basicConfig(
        level=logging.INFO if log_to_stderr else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[logging.StreamHandler(sys.stderr)] if log_to_stderr else [logging.NullHandler()],
    )
    logging.getLogger().setLevel(logging.INFO)
    for talkative in ("aiohttp", "client", "httpx2", "mcp", "uvicorn", "watchfiles"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    home = home.resolve()
    try:
        make_private_folder(home / "state")
        lock = HomeLock(home / "state" / "lock")
        lock.acquire()
        # All of clawd is loaded by the one that has the home: a second is refused before that.
        from clawd.daemon.serving import serve  # noqa: PLC0415

        return serve(home, began)
    except ClawdError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        sys.stderr.write(f"clawd: {error.message}{hint}\n")
        return error.exit_code
