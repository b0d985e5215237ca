"""The daemon as a process: its home, its loop, its signals, its exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from pathlib import Path

from clawd.daemon.app import Daemon
from clawd.daemon.hardening import keep_private, keep_secrets_off_stderr
from clawd.daemon.reload import Configuration
from clawd.daemon.stopping import Stopping
from clawd.daemon.supervisor import run_to_its_end
from clawd.errors import ClawdError
from clawd.storage.files import HomeLock, make_private_folder


def main(home: Path, log_to_stderr: bool) -> int:
    """Run a daemon on this home until it is told to stop; the exit code."""
    began = time.perf_counter()
    keep_private()
    logging.basicConfig(
        level=logging.INFO if log_to_stderr else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[logging.StreamHandler(sys.stderr)] if log_to_stderr else [logging.NullHandler()],
    )
    logging.getLogger().setLevel(logging.INFO)
    for talkative in ("httpx2", "uvicorn", "watchfiles"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    home = home.resolve()
    try:
        make_private_folder(home / "state")
        lock = HomeLock(home / "state" / "lock")
        lock.acquire()
        configuration = Configuration(home)
        keep_secrets_off_stderr(configuration.redactor)
        configuration.load()
        return _run(home, configuration, began)
    except ClawdError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        sys.stderr.write(f"clawd: {error.message}{hint}\n")
        return error.exit_code


def _run(home: Path, configuration: Configuration, began: float) -> int:
    with asyncio.Runner() as runner:
        if not run_to_its_end(runner.get_loop(), _serve(home, configuration, began)):
            # What ignored its cancellation would be waited for without end.
            logging.shutdown()
            os._exit(0)
    return 0


async def _serve(home: Path, configuration: Configuration, began: float) -> bool:
    daemon = Daemon(home, configuration, began)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if daemon.stopping.is_set():
            # It was told to before, and still drains: now it is to hurry.
            os._exit(143)
        daemon.stop()

    stopping = Stopping(lambda: loop.call_soon_threadsafe(stop))
    daemon.ends_now = stopping.arm
    return await daemon.run()
