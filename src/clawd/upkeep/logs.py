"""One log, looked at and mended."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

from clawd.errors import StorageError
from clawd.ids import now
from clawd.storage.files import sync_folder
from clawd.storage.jsonl import Check, Loaded, Log
from clawd.storage.lines import open_log, pieces
from clawd.storage.writer import MAX_LINE_BYTES, Writer
from clawd.upkeep.findings import FileReport, Finding
from clawd.upkeep.places import Place
from clawd.upkeep.sums import compare, shorten

_LOOKS = 3
_BETWEEN_LOOKS = 0.05
_CHANGED = "is not the line that was written (its checksum differs)"
_GONE = "and what followed are gone: the file was longer when its checksums were taken"


def look(place: Place, sums: Path, *, live: bool = False) -> tuple[FileReport, dict[str, Any]]:
    """What is in a log and what is wrong with it, and its records by id; changes nothing.

    ``sums`` is the file with the checksums of its lines, if there is one.
    ``live``: a daemon writes to it, so that an end that is incomplete may just be on its way.
    """
    report = FileReport(place.path, place.what, place.owner)
    if (odd := _odd(place.path)) is not None:
        report.findings.append(odd)
        return report, {}
    log: Log[Any] = Log(place.path, place.kind, Writer())
    try:
        loaded = log.inspect(check=_check(place))
        for _ in range(_LOOKS if live else 0):
            if not any("incomplete" in problem.reason for problem in loaded.problems):
                break
            time.sleep(_BETWEEN_LOOKS)
            loaded = log.inspect(check=_check(place))
    except StorageError as error:
        report.findings.append(Finding("damage", "unreadable", error.message))
        return report, {}
    report.bytes, report.lines = loaded.bytes, loaded.lines
    report.records, report.superseded = len(loaded.records), loaded.superseded
    report.repeated = _repeated(place.path)
    report.sealed = sum(bool(getattr(r, "sealed", "")) for r in loaded.records.values())
    report.findings += _problems(place, loaded)
    bad = {problem.line for problem in loaded.problems}
    report.findings += [
        Finding("damage", "changed", text, changed.line, changed.offset)
        for changed in compare(place.path, sums)
        for text in [_CHANGED if changed.offset < loaded.bytes else _GONE]
        if changed.line not in bad
    ]
    report.findings += _open_to_others(place.path)
    return report, loaded.records


def mend(place: Place, report: FileReport, sums: Path) -> None:
    """Put right what ``look`` found, and write it down there; damage is set aside, never deleted.

    Only while no daemon runs. What the system refuses stays as it is, and the finding says so.
    """
    for finding in report.findings:
        try:
            _mend_whole(place.path, sums, finding)
        except OSError as error:
            finding.text += f"; it stays so: {(error.strerror or str(error)).lower()}"
    lines = [f for f in report.findings if f.code == "line"]
    if not lines or not place.known:
        return
    log: Log[Any] = Log(place.path, place.kind, Writer())
    done = {problem.line: problem for problem in log.load(check=_check(place)).problems}
    shorten(place.path, sums)
    for finding in lines:
        problem = done.get(finding.line)
        if problem is None:
            finding.mended = "its LF was added"
        elif "left as it is" in problem.reason:
            finding.text = problem.reason
        else:
            kept = problem.kept_in
            finding.mended = f"kept in {kept.name}" if kept else "each record has its own line now"


def _mend_whole(path: Path, sums: Path, finding: Finding) -> None:
    """Mend what is about the file, not about one line."""
    match finding.code:
        case "odd":
            aside = path.with_name(f"{path.name}.aside-{_moment()}")
            os.rename(path, aside)
            sync_folder(path.parent)
            finding.mended = f"moved to {aside.name}"
        case "open_to_others":
            os.chmod(path, 0o600)
            finding.mended = "made private (0600)"
        case "changed":
            if sums.exists():
                os.rename(sums, sums.with_name(f"{sums.name}.aside-{_moment()}"))
            finding.mended = "taken as it is from now on"
        case _:
            pass


def _check(place: Place) -> Check[Any] | None:
    """The owner's own rule: mail for another does not belong in a mailbox."""
    if place.what != "mailbox" or not place.owner:
        return None

    def foreign(message: Any) -> str | None:
        if message.to != place.owner:
            return f"addressed to {message.to[:80]!a}, not to {place.owner}"
        return None

    return foreign


def _odd(path: Path) -> Finding | None:
    """What stands there if it is no regular file."""
    try:
        facts = os.lstat(path)
    except OSError as error:
        return Finding("damage", "unreadable", error.strerror or str(error))
    if stat.S_ISREG(facts.st_mode):
        return None
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }  # fmt: skip
    kind = kinds.get(stat.S_IFMT(facts.st_mode), "something else")
    return Finding("damage", "odd", f"is {kind}, not a regular file")


def _problems(place: Place, loaded: Loaded[Any]) -> list[Finding]:
    severity, code = ("damage", "line") if place.known else ("note", "unknown_line")
    return [
        Finding(severity, code, problem.reason, problem.line, problem.offset)  # type: ignore[arg-type]
        for problem in loaded.problems
    ]


def _open_to_others(path: Path) -> list[Finding]:
    facts = os.lstat(path)
    found = []
    if stat.S_IMODE(facts.st_mode) & 0o077:
        mode = stat.S_IMODE(facts.st_mode)
        found.append(Finding("damage", "open_to_others", f"others may read it (mode {mode:04o})"))
    if facts.st_uid != os.geteuid():
        text = f"belongs to user {facts.st_uid}, not to {os.geteuid()}, who looks at it"
        found.append(Finding("note", "owner", text))
    return found


def _repeated(path: Path) -> int:
    """How many lines stand there twice, byte for byte: harmless, but somebody copied them."""
    descriptor = open_log(path)
    if descriptor is None:
        return 0
    seen: set[int] = set()
    lines = 0
    try:
        for piece in pieces(descriptor, MAX_LINE_BYTES):
            if piece.data is not None:
                each = [hash(line) for line in piece.data.split(b"\n") if line]
                lines += len(each)
                seen.update(each)
    finally:
        os.close(descriptor)
    return lines - len(seen)


def _moment() -> str:
    return now().replace(":", "").replace("-", "")
