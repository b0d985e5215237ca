"""The daemon's loop, from its configuration to its end."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from clawd.daemon.app import Daemon
from clawd.daemon.hardening import keep_secrets_off_stderr
from clawd.daemon.reload import Configuration
from clawd.daemon.stopping import Stopping
from clawd.daemon.supervisor import run_to_its_end


def serve(home: Path, began: float) -> int:
    """Run the daemon of a home that this process has locked; the exit code.

    ``began`` is when the process did, by ``time.perf_counter``. ``ClawdError`` when there is no
    configuration to start with.
    """
    configuration = Configuration(home)
    keep_secrets_off_stderr(configuration.redactor)
    configuration.load()
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
