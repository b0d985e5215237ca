"""``clawd fsck``: every log of the home verified, and mended when asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawd.cli.clean import one_line
from clawd.cli.invocation import Invocation, command, pass_invocation

if TYPE_CHECKING:
    from clawd.cli.output import Output
    from clawd.upkeep.findings import FileReport, Finding, Report

_MARKS = {"damage": ("FAIL", "red"), "note": ("note", "yellow"), "mended": ("done", "green")}
_SHOWN = 20
"""Findings of one file that are shown; the rest are counted."""


@command("fsck", "clawd fsck", "clawd fsck --repair")
@click.option("--repair", is_flag=True, help="Set damage aside and put the files right.")
@pass_invocation
def fsck(invocation: Invocation, repair: bool) -> int:
    """Verify every log of the home; exit 1 when damage is left. Changes nothing by itself.

    With --repair damaged lines are kept in a file beside their log, and never deleted; the daemon
    must not run then.
    """
    # What reads the logs costs more than a command that asks the daemon: only here it is loaded.
    from clawd.upkeep.fsck import verify

    out = invocation.out
    shows = sys.stderr.isatty() and not (out.quiet or out.plain or out.as_json)
    report = verify(
        invocation.home, repair=repair, progress=_progress if shows else lambda *_: None
    )
    if shows:
        sys.stderr.write("\r\x1b[K")
    if out.as_json:
        out.document(
            {
                "schema": "clawd.fsck/1",
                "home": str(report.home),
                "ok": report.clean,
                "repaired": repair,
                "daemon": report.daemon or None,
                "damage": report.count("damage"),
                "mended": report.count("damage", mended=True),
                "notes": report.count("note"),
                "items": [file.as_json() for file in report.files],
                "next": None,
            }
        )
    else:
        _show(out, report, repair)
    return 0 if report.clean else 1


def _progress(done: int, count: int, path: Path) -> None:
    file = one_line(f"{path.parent.name}/{path.name}")
    sys.stderr.write(f"\r\x1b[K{done + 1} of {count}: {file}")
    sys.stderr.flush()


def _show(out: Output, report: Report, repair: bool) -> None:
    for file in report.files:
        if file.findings or out.verbose:
            _show_file(out, report.home, file)
    logs = [file for file in report.files if file.lines or not file.findings]
    lines, size = sum(file.lines for file in logs), sum(file.bytes for file in logs)
    files = "1 file" if len(logs) == 1 else f"{len(logs)} files"
    text = f"{files}, {lines} lines, {size / 1e6:.1f} MB"
    damage, mended = report.count("damage"), report.count("damage", mended=True)
    if report.daemon:
        out.note(
            (f"a daemon runs (pid {report.daemon}); what it writes meanwhile may be missed", "dim")
        )
    if damage:
        out.line((f"{damage} damaged", "red"), f" · {text}")
        if not repair:
            stop = "clawd stop, then " if report.daemon else ""
            out.line(
                ("     ", ""),
                (f"{stop}clawd fsck --repair", "bold"),
                " sets it aside; all else stays",
            )
    elif mended:
        out.line((f"{mended} mended", "green"), f" · {text}")
    else:
        out.line(("clean", "green"), f" · {text}")


def _show_file(out: Output, home: Path, file: FileReport) -> None:
    name = file.path.relative_to(home) if file.path.is_relative_to(home) else file.path
    facts = f"{file.lines} lines, {file.records} records" if file.lines else file.what
    repeated = f", {file.repeated} repeated" if file.repeated else ""
    repeated += f", {file.sealed} sealed" if file.sealed else ""
    out.line((str(name), "bold"), (f"  {facts}{repeated}", "dim"))
    for finding in file.findings[:_SHOWN]:
        mark, style = _MARKS["mended" if finding.mended else finding.severity]
        out.line((f"  {mark} ", style), _words(finding))
    if len(file.findings) > _SHOWN:
        out.line(("  ", ""), (f"and {len(file.findings) - _SHOWN} more (--json has all)", "dim"))


def _words(finding: Finding) -> str:
    place = f"line {finding.line} (byte {finding.offset}) " if finding.line else ""
    done = f"; {finding.mended}" if finding.mended else ""
    return f"{place}{finding.text}{done}"
