"""The files that a home keeps, found on the disk and named by their owners."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clawd.comms.mailbox import FILE_NAME as MAILBOX
from clawd.comms.manager import OPERATOR_FILE
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.comms.notices import FILE_NAME as NOTICES
from clawd.comms.notices import KeptNotice
from clawd.config.last_good import load_last_good
from clawd.config.loader import check, load
from clawd.config.schema import Config
from clawd.ids import OPERATOR
from clawd.ledger.records import UsageRecord
from clawd.sessions import records
from clawd.sessions.registry import SessionRecord
from clawd.sessions.transcript import FILE_NAME as TRANSCRIPT
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer
from clawd.tools.schedule.records import FILE_NAME as SCHEDULES
from clawd.tools.schedule.records import Schedule


class AnyRecord(msgspec.Struct, frozen=True):
    """A record of which only the id is looked at: of a floor above, or of another version."""

    id: str


IN_STATE: Mapping[str, tuple[str, Any]] = {
    OPERATOR_FILE: ("mailbox", SessionMessage),
    "tasks.jsonl": ("tasks", AsyncTask),
    "sessions.jsonl": ("sessions", SessionRecord),
    NOTICES: ("notices", KeptNotice),
    "notices.jsonl": ("notices", AnyRecord),
    "usage.jsonl": ("usage", UsageRecord),
}
"""The logs in ``state/``: what each is, and the kind of its records."""

IN_WORKSPACE: Mapping[str, tuple[str, Any]] = {
    MAILBOX: ("mailbox", SessionMessage),
    TRANSCRIPT: ("transcript", records.Record),
    SCHEDULES: ("schedules", Schedule),
}
"""The logs in a workspace."""

_KEPT = re.compile(r"\.jsonl\.(rejected|torn-.+|aside-.+)$")
_LEFT = re.compile(r"^\..+\.\d+-[0-9a-f]{8}\.tmp$")


@dataclass(frozen=True, slots=True)
class Place:
    """A log: where it is, what it is, the session that it belongs to ("" when nobody's).

    ``known`` is false for a log of another version, which is looked at and never touched.
    """

    path: Path
    what: str
    kind: Any
    owner: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class Home:
    """What is to be looked at: the logs, the sessions' workspaces by id, and what else lies by."""

    logs: tuple[Place, ...]
    workspaces: Mapping[str, Path]
    others: tuple[Path, ...]


def survey(home: Path) -> Home:
    """What a home holds (blocking); a configuration that is broken hides no file."""
    workspaces = _workspaces(home)
    owner_of = {path: session for session, path in workspaces.items()}
    folders = sorted({*workspaces.values(), *_folders(home / "workspaces")})
    state = home / "state"
    logs = [*_logs(state, IN_STATE, OPERATOR)]
    for folder in folders:
        logs += _logs(folder, IN_WORKSPACE, owner_of.get(folder, ""))
    others = [path for folder in (state, *folders) for path in _names(folder) if _is_left(path)]
    return Home(tuple(logs), workspaces, tuple(others))


def is_kept(path: Path) -> bool:
    """Whether the file holds damage that was set aside earlier."""
    return _KEPT.search(path.name) is not None


def _is_left(path: Path) -> bool:
    return is_kept(path) or _LEFT.match(path.name) is not None


def _logs(folder: Path, known: Mapping[str, tuple[str, Any]], owner: str) -> Iterator[Place]:
    for path in _names(folder):
        if path.name in known:
            what, kind = known[path.name]
            whose = owner if what in ("mailbox", "transcript") else ""
            yield Place(path, what, kind, whose)
        elif path.suffix == ".jsonl" and known is IN_STATE:
            yield Place(path, "log", AnyRecord, known=False)


def _names(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [path for path in _names(folder) if path.is_dir() and not path.is_symlink()]


def _workspaces(home: Path) -> dict[str, Path]:
    config = _config(home)
    found = {i: home / s.workspace for i, s in config.sessions.items()} if config else {}
    registry = Log[SessionRecord](home / "state" / "sessions.jsonl", SessionRecord, Writer())
    try:
        created = registry.inspect().records.values()
    except Exception:  # noqa: BLE001 - told where that file itself is looked at
        return found
    for record in created:
        if record.created and not record.removed:
            named = record.settings.get("workspace", f"workspaces/{record.id}")
            found.setdefault(record.id, home / str(named))
    return found


def _config(home: Path) -> Config | None:
    config = load(home, os.environ).config
    if config is None and (text := load_last_good(home)) is not None:
        config = check(text, environ=os.environ, home=None).config
    return config
