"""``clawd doctor``: what could keep it from working, each with the mend."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clawd.cli.invocation import Invocation, command, pass_invocation

if TYPE_CHECKING:
    from clawd.cli.checks.check import Check
    from clawd.cli.output import Output

_MARKS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "error": ("FAIL", "red")}
_FIXED = ("done", "green")


@command("doctor", "clawd doctor", "clawd doctor --fix")
@click.option("--fix", is_flag=True, help="Mend what can be mended without asking anyone.")
@pass_invocation
def doctor(invocation: Invocation, fix: bool) -> int:
    """Check the installation; exit 1 when something fails, 3 when it is the configuration."""
    from clawd.cli.checks.everything import run_checks

    out = invocation.out
    found = []
    for check in run_checks(invocation.client, fix=fix):
        found.append(check)
        if not out.as_json:
            _show(out, check)
    failed = [check for check in found if check.state == "error"]
    if out.as_json:
        items = [asdict(check) for check in found]
        out.document({"schema": "clawd.doctor/1", "ok": not failed, "items": items, "next": None})
    else:
        _sum_up(out, found)
    if not failed:
        return 0
    return 3 if any(check.name == "config" for check in failed) else 1


def _show(out: Output, check: Check) -> None:
    mark = _FIXED if check.fixed else _MARKS[check.state]
    fixed = f"; {check.fixed}" if check.fixed else ""
    out.line(mark, f" {check.name}: {check.message}{fixed}")
    if check.mend:
        out.line(("     ", ""), (check.mend, "bold"))


def _sum_up(out: Output, found: list[Check]) -> None:
    failed = sum(check.state == "error" for check in found)
    warned = sum(check.state == "warning" for check in found)
    fixed = sum(bool(check.fixed) for check in found)
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{warned} to look at"] if warned else []
    parts += [f"{fixed} mended"] if fixed else []
    style = "red" if failed else "yellow" if warned else "green"
    out.line((", ".join(parts) or "all well", style))
