"""The daemon: whether it runs, how it is, and what waits for the operator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clawd import __version__
from clawd.cli.checks.check import Check, size
from clawd.cli.client import JSON, Client
from clawd.cli.times import duration
from clawd.errors import ClawdError, DaemonUnreachable
from clawd.storage.files import lock_holder

MUCH_MEMORY = 2 << 30
ANSWER_SECONDS = 10.0


def daemon(client: Client, fix: bool) -> Iterator[Check]:
    """What the daemon says of itself, or why it says nothing."""
    try:
        status = client.get("/api/status", timeout=ANSWER_SECONDS)
    except DaemonUnreachable:
        yield from _silent(client.home, fix)
        return
    except ClawdError as problem:
        yield Check("daemon", "error", problem.message, "clawd restart")
        return
    yield from _process(status)
    yield from _waiting(client, status)


def _silent(home: Path, fix: bool) -> Iterator[Check]:
    holder = lock_holder(home)
    if holder:
        text = f"process {holder} holds {home / 'state/lock'}, but does not answer"
        yield Check("daemon", "error", text, f"kill {holder}; nothing acknowledged is lost")
        return
    yield Check("daemon", "warning", "not running", "clawd start")
    for name in ("clawd.sock", "socket"):
        path = home / "state" / name
        if not os.path.lexists(path):
            continue
        text = f"{path} is left of a daemon that was killed"
        if fix:
            with suppress(OSError):
                path.unlink()
                yield Check("socket", "ok", text, fixed="removed")
                continue
        yield Check("socket", "ok", f"{text}; the next start replaces it")


def _process(status: JSON) -> Iterator[Check]:
    taken = status.get("resources") or {}
    memory = int(taken.get("memoryBytes") or 0)
    text = f"pid {status.get('pid')}, version {status.get('version')}"
    text += f", up {duration(status.get('uptimeSeconds', 0))}"
    text += f", {size(memory)} of memory" if memory else ""
    yield Check("daemon", "ok", text)
    if memory > MUCH_MEMORY:
        text = f"it takes {size(memory)} of memory"
        yield Check("daemon", "warning", text, "clawd restart; fewer or shorter conversations")
    if status.get("version") != __version__:
        yield Check("daemon", "warning", f"this command is version {__version__}", "clawd restart")
    state = (status.get("config") or {}).get("state")
    if state != "ok":
        text = f"it runs on the {state} configuration"
        yield Check("daemon", "warning", text, "mend config.json")
    loop = status.get("loop") or {}
    if loop.get("blocked"):
        longest = loop.get("longestMilliseconds", 0) / 1000
        text = f"its event loop was blocked {loop['blocked']} times, for {longest:.1f} s at most"
        yield Check("daemon", "warning", text, "clawd logs --level warning says where")
    for provider in status.get("providers", []):
        if not provider.get("ok", True):
            yield Check("provider", "warning", f"{provider['id']}: {provider.get('problem')}")


def _waiting(client: Client, status: JSON) -> Iterator[Check]:
    """What stands still until the operator does something."""
    paused = status.get("paused") or {}
    if paused.get("all"):
        yield Check("paused", "warning", "no session calls a model: all are paused", "clawd resume")
    for session in paused.get("sessions") or ():
        yield Check("paused", "warning", f"{session} is paused", f"clawd resume {session}")
    if (status.get("sessions") or {}).get("failed"):
        for session in client.get("/api/sessions").get("items", []):
            if session.get("status") == "failed":
                text = f"{session['id']} is parked: {session.get('failed')}"
                yield Check("session", "error", text, f"clawd sessions restart {session['id']}")
    for state, mend in (
        ("dead", "clawd messages dead -s '*', then clawd messages requeue ID"),
        ("held", "clawd messages list -s '*' --state held"),
    ):
        query = {"session": "*", "state": state, "limit": 1000}
        count = len(client.get("/api/messages", query).get("items", []))
        if count:
            more = "at least " if count == 1000 else ""
            words = "were given up" if state == "dead" else "wait for a session that is gone"
            yield Check("mail", "warning", f"{more}{count} messages {words}", mend)
