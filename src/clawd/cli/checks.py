"""The checks of ``clawd doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clawd import __version__
from clawd.cli.client import Client
from clawd.config.loader import Checked, load
from clawd.errors import ClawdError, DaemonUnreachable

FEW_BYTES, TOO_FEW_BYTES = 1 << 30, 32 << 20


@dataclass(frozen=True)
class Check:
    """What one check found, and what mends it ("" when there is nothing to do)."""

    name: str
    state: Literal["ok", "warning", "error"]
    message: str
    mend: str = ""


def run_checks(client: Client, *, fix: bool) -> list[Check]:
    """Every check, in the order in which a human would mend."""
    home = client.home
    checked = load(home, os.environ)
    return [
        _python(),
        *_folders(home, fix),
        *_configuration(checked),
        *_workspaces(client, checked),
        _disk(home),
        *_damage(home),
        *_daemon(client),
    ]


def _python() -> Check:
    # An older one cannot even import this: pyproject.toml and scripts/run refuse it.
    return Check("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _folders(home: Path, fix: bool) -> Iterator[Check]:
    if not home.is_dir():
        yield Check("home", "error", f"there is no {home}", f"clawd init {home}")
        return
    if not os.access(home, os.W_OK | os.X_OK):
        yield Check("home", "error", f"{home} is not writable", f"chown $USER {home}")
        return
    open_to_others = [path for path in _private(home) if _mode(path) & 0o077]
    if not open_to_others:
        yield Check("home", "ok", f"{home}, private")
        return
    if fix:
        for path in open_to_others:
            path.chmod(_mode(path) & 0o700)
        yield Check("home", "ok", f"{len(open_to_others)} files and folders made private")
        return
    names = ", ".join(str(path.relative_to(home)) for path in open_to_others[:3])
    more = f" and {len(open_to_others) - 3} more" if len(open_to_others) > 3 else ""
    yield Check("home", "warning", f"others can read {names}{more}", "clawd doctor --fix")


def _private(home: Path) -> Iterator[Path]:
    """What nobody else may read: the configuration, the state, what the daemon keeps."""
    for path in (home / "config.json", home / "state"):
        if path.exists():
            yield path
    for folder in (home / "state", *(home / "workspaces").glob("*/logs")):
        if folder.is_dir():
            yield from (path for path in folder.rglob("*") if not path.is_symlink())
    yield from (home / "workspaces").glob("*/*.jsonl*")


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:
        return 0


def _configuration(checked: Checked) -> Iterator[Check]:
    for problem in checked.problems:
        yield Check("config", problem.severity, str(problem))
    for key in checked.inactive:
        yield Check("config", "warning", f"{key} does nothing yet", "leave it out")
    if checked.config is not None:
        sessions = len(checked.config.sessions)
        templates = len(checked.config.provider_templates)
        yield Check("config", "ok", f"{sessions} sessions, {templates} provider templates")


def _workspaces(client: Client, checked: Checked) -> Iterator[Check]:
    in_use = _in_use(client)
    if in_use is None and checked.config is None:
        return
    bad = False
    used = in_use or []
    for path in used:
        if not path.is_dir():
            bad = True
            text = f"{path} is gone, and a session works there"
            yield Check("workspace", "error", text, "put the folder back")
    configured = checked.config.sessions.values() if checked.config is not None else ()
    # Without a daemon a missing folder is no fault: the next start makes it.
    folders = [client.home / each.workspace for each in configured]
    for path in dict.fromkeys([*folders, *used]):
        there = path
        while not there.exists():
            there = there.parent
        if not os.access(there, os.W_OK | os.X_OK):
            bad = True
            mend = f"chown -R $USER {path}"
            yield Check("workspace", "error", f"{path} is not writable", mend)
    if not bad:
        yield Check("workspaces", "ok", "all writable")


def _in_use(client: Client) -> list[Path] | None:
    """The workspaces of the sessions that run, those made at run time too; None: no daemon."""
    try:
        items = client.get("/api/sessions").get("items", [])
    except ClawdError:
        return None  # the daemon's own check says why
    return [Path(item["workspace"]) for item in items if item.get("status") != "disabled"]


def _disk(home: Path) -> Check:
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < TOO_FEW_BYTES:
        return Check("disk", "error", text, "make room: nothing can be stored")
    return Check("disk", "warning" if free < FEW_BYTES else "ok", text)


def _damage(home: Path) -> Iterator[Check]:
    for folder in (home / "state", *(home / "workspaces").glob("*")):
        for path in folder.glob("*.rejected") if folder.is_dir() else ():
            yield Check(
                "storage",
                "warning",
                f"{path} holds lines that could not be read",
                "look at it, then delete it; every other line is in use",
            )


def _daemon(client: Client) -> Iterator[Check]:
    try:
        status = client.get("/api/status")
    except DaemonUnreachable:
        yield Check("daemon", "warning", "not running", "clawd start")
        return
    except ClawdError as problem:
        yield Check("daemon", "error", problem.message, "clawd restart")
        return
    yield Check("daemon", "ok", f"pid {status.get('pid')}, version {status.get('version')}")
    if status.get("version") != __version__:
        yield Check("daemon", "warning", f"this command is version {__version__}", "clawd restart")
    state = (status.get("config") or {}).get("state")
    if state != "ok":
        yield Check(
            "daemon", "warning", f"it runs on the {state} configuration", "mend config.json"
        )
    for provider in status.get("providers", []):
        if not provider.get("ok", True):
            yield Check("provider", "warning", f"{provider['id']}: {provider.get('problem')}")
