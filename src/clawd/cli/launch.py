"""Start the daemon in the background, and wait until a daemon has ended."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from clawd.cli.client import JSON, Client
from clawd.cli.output import Output
from clawd.errors import ClawdError, ConfigError, DaemonUnreachable, TimedOut

START_SECONDS = 15.0
_TAIL_LINES = 8


def ensure_running(client: Client, out: Output) -> JSON:
    """The status of the home's daemon, which is started, and said to be, when none runs."""
    status = client.running()
    if status is not None:
        return status
    status = start(client)
    out.note(f"started the daemon (pid {status.get('pid')}, home {client.home})")
    return status


def start(client: Client, wait: float | None = None) -> JSON:
    """Start a daemon and return its status once it answers, within ``wait`` seconds.

    One that ends instead is an error with the last lines that it wrote.
    """
    home = client.home
    if not (home / "config.json").is_file():
        raise ConfigError(
            "no_config",
            f"there is no configuration at {home / 'config.json'}",
            hint=f"run: clawd init {home}",
        )
    log = home / "state" / "daemon.log"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sink_descriptor = os.open(log, flags, 0o600)
    except OSError as error:
        raise ClawdError(
            "no_log",
            f"{log} cannot be written: {(error.strerror or str(error)).lower()}",
            hint="put a regular file in its place, or remove it; clawd doctor looks at the disk",
        ) from None
    with open(sink_descriptor, "wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "clawd", "daemon", "run", "--home", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            cwd=home,
        )
    deadline = time.monotonic() + (wait or START_SECONDS)
    while time.monotonic() < deadline:
        status = client.running()
        if status is not None:
            # The daemon outlives this command on purpose: nobody will wait for it.
            process.returncode = 0
            return status
        try:
            code = process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise _died(code, log)
    process.returncode = 0
    raise TimedOut(
        "start_timed_out",
        f"the daemon did not answer within {wait or START_SECONDS:g} s",
        hint=f"see {log}",
    )


def stop(client: Client, drain: float | None, limit: float) -> JSON | None:
    """Ask the daemon to end and wait for it; its last status, or None when none ran."""
    status = client.running()
    if status is None:
        return None
    pid = int(status["pid"])
    try:
        watched = os.pidfd_open(pid)
    except (AttributeError, OSError):
        watched = None  # not on this system, or it has ended by now
    try:
        client.post("/api/stop", {} if drain is None else {"drainSeconds": drain})
        if not _ended(client, watched, (drain or 0) + limit):
            raise TimedOut(
                "stop_timed_out",
                f"the daemon (pid {pid}) still runs after {(drain or 0) + limit:g} s",
                hint=f"kill {pid} stops it at once; nothing acknowledged is lost",
            )
    finally:
        if watched is not None:
            os.close(watched)
    return status


def _ended(client: Client, watched: int | None, limit: float) -> bool:
    if watched is not None:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        return bool(poll.poll(limit * 1000))
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            client.get("/api/status", timeout=1.0)
        except DaemonUnreachable:
            return True
        time.sleep(0.05)
    return False


def _died(code: int, log: Path) -> ClawdError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    told = "\n".join(f"  {line}" for line in lines)
    message = f"the daemon ended at once (exit {code})" + (f":\n{told}" if told else "")
    kind = ConfigError if code == ConfigError.exit_code else ClawdError
    return kind("daemon_died", message, hint="clawd doctor says what is wrong")
