"""Every file of a home verified; with ``repair`` what is damaged is set aside and put right."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from clawd.errors import NotFound, Refused
from clawd.storage.files import HomeLock, lock_holder
from clawd.upkeep import logs
from clawd.upkeep.findings import FileReport, Finding, Report
from clawd.upkeep.indexes import indexes
from clawd.upkeep.places import Home, is_kept, survey
from clawd.upkeep.references import cross_check
from clawd.upkeep.sums import sums_of

Progress = Callable[[int, int, Path], object]
"""Told before each file: how many are done, how many there are, and which is next."""


def verify(
    home: Path, *, repair: bool = False, progress: Progress = lambda _done, _all, _path: None
) -> Report:
    """Look at every log, and at what lies beside them (blocking).

    Without ``repair`` nothing is changed, and a daemon may run meanwhile. With it the home is
    locked: ``Refused`` (``already_running``) while a daemon runs.
    """
    state = home / "state"
    if not home.is_dir():
        raise NotFound("no_home", f"there is no home at {home}", hint=f"run: clawd init {home}")
    with ExitStack() as held:
        report = Report(home)
        if not repair:
            report.daemon = lock_holder(home)
        elif state.is_dir():
            _lock(held, state)
        found = survey(home)
        looked = []
        for number, place in enumerate(found.logs):
            progress(number, len(found.logs), place.path)
            sums = sums_of(state, place.path)
            looked.append(logs.look(place, sums, live=report.daemon != 0))
        cross_check(looked)
        if repair:
            for place, (file, _) in zip(found.logs, looked, strict=True):
                logs.mend(place, file, sums_of(state, place.path))
        report.files = [file for file, _ in looked]
        report.files += _workspaces(found)
        report.files += _state_files(state)
        report.files += indexes(state, live=report.daemon != 0, repair=repair)
        report.files += _others(found)
    return report


def _lock(held: ExitStack, state: Path) -> None:
    lock = HomeLock(state / "lock")
    try:
        held.enter_context(lock)
    except Refused as refused:
        raise Refused(
            refused.code,
            f"a daemon runs on this home, and only it may change these files: {refused.message}",
            hint="run: clawd stop, then clawd fsck --repair",
            **refused.facts,
        ) from None


def _workspaces(found: Home) -> list[FileReport]:
    reports = []
    for session, path in found.workspaces.items():
        report = FileReport(path, "workspace", session)
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            text = "is not a folder; move it away, or put the folder back"
            report.findings.append(Finding("damage", "workspace", text))
        elif path.is_dir() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            text = "cannot be read and written; give the daemon's user the right to"
            report.findings.append(Finding("damage", "workspace", text))
        elif not path.exists():
            text = "is not there; the next start makes it anew, empty"
            report.findings.append(Finding("note", "workspace", text))
        if report.findings:
            reports.append(report)
    return reports


def _state_files(state: Path) -> list[FileReport]:
    """The whole files that the daemon keeps."""
    reports = []
    for name in ("keys.json",):
        path = state / name
        if not path.exists() and not path.is_symlink():
            continue
        report = FileReport(path, "state")
        try:
            if not path.is_file():
                raise ValueError("it is not a regular file")
            report.bytes = path.stat().st_size
            if not isinstance(json.loads(path.read_bytes()), dict):
                raise ValueError("it is no JSON object")
        except (OSError, ValueError) as error:
            text = f"cannot be read ({error}); move it away: the next start makes it anew"
            report.findings.append(Finding("damage", "unreadable", text))
        reports.append(report)
    return reports


def _others(found: Home) -> list[FileReport]:
    reports = []
    for path in found.others:
        what, text = "left over", "a replacement that was cut off; harmless, removed some day"
        if is_kept(path):
            what, text = "set aside", "damage that was met earlier; look at it, then delete it"
        try:
            size = path.lstat().st_size
        except OSError:
            continue
        report = FileReport(path, what, bytes=size)
        report.findings.append(Finding("note", what.replace(" ", "_"), text))
        reports.append(report)
    return reports
