"""The home: its configuration, who may read it, and what stands in its files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from clawd.cli.checks.check import Check
from clawd.cli.checks.daemon import ANSWER_SECONDS
from clawd.cli.client import Client
from clawd.config.loader import Checked
from clawd.errors import ClawdError
from clawd.storage.files import lock_holder

_LOGS = (
    "state/*.jsonl",
    "workspaces/*/session_messages.jsonl",
    "workspaces/*/history.jsonl",
)
_KEPT = ("*.jsonl.rejected", "*.jsonl.torn-*", "*.jsonl.aside-*")


def folders(home: Path, fix: bool) -> Iterator[Check]:
    """Whether the home is there, writable and private."""
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
        count = len(open_to_others)
        text = f"others could read {count} files and folders"
        yield Check("home", "ok", text, fixed="made private")
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
    logs = (home / "workspaces").glob("*/*.jsonl*")
    yield from (path for path in logs if not path.is_symlink())


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:
        return 0


def configuration(checked: Checked) -> Iterator[Check]:
    """Every problem of ``config.json``, and of the keys that it names."""
    for problem in checked.problems:
        yield Check("config", problem.severity, str(problem))
    for key in checked.inactive:
        yield Check("config", "warning", f"{key} does nothing yet", "leave it out")
    if checked.config is not None:
        sessions = len(checked.config.sessions)
        templates = len(checked.config.provider_templates)
        yield Check("config", "ok", f"{sessions} sessions, {templates} provider templates")


def workspaces(client: Client, checked: Checked) -> Iterator[Check]:
    """Whether every session has a folder to work in."""
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
        items = client.get("/api/sessions", timeout=ANSWER_SECONDS).get("items", [])
    except ClawdError:
        return None  # the daemon's own check says why
    return [Path(item["workspace"]) for item in items if item.get("status") != "disabled"]


def logs(home: Path) -> Iterator[Check]:
    """What a look from outside tells of the logs; ``clawd fsck`` reads every line."""
    bad, live = 0, bool(lock_holder(home))
    for path in (found for pattern in _LOGS for found in sorted(home.glob(pattern))):
        problem = _damaged(path, live=live)
        if problem:
            bad += 1
            mend = "clawd stop, then clawd fsck --repair" if live else "clawd fsck --repair"
            yield Check("storage", "error", f"{path} {problem}", mend)
    kept = [
        path
        for folder in (home / "state", *(home / "workspaces").glob("*"))
        for pattern in _KEPT
        for path in sorted(folder.glob(pattern))
    ]
    for path in kept:
        yield Check(
            "storage",
            "warning",
            f"{path} holds what could not be read (a crash, a power cut or a damaged disk)",
            "look at it, then delete it; every other line is in use",
        )
    if not bad and not kept:
        yield Check("storage", "ok", "the logs look whole; clawd fsck reads every line")


def _damaged(path: Path, *, live: bool) -> str:
    """What is wrong with a log at first sight, "" when nothing is."""
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode):
            return "is not a regular file: its session is parked"
        if live or not facts.st_size:
            return ""
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                return "ends in the middle of a line (a crash or a power cut)"
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    return ""
