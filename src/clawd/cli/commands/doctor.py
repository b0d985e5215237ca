"""``clawd doctor``: what could keep it from working, each with the mend."""

from __future__ import annotations

from dataclasses import asdict

import click

from clawd.cli.invocation import Invocation, command, pass_invocation

_MARKS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "error": ("FAIL", "red")}


@command("doctor", "clawd doctor", "clawd doctor --fix")
@click.option("--fix", is_flag=True, help="Mend what can be mended without asking anyone.")
@pass_invocation
def doctor(invocation: Invocation, fix: bool) -> int:
    """Check the installation; exit 1 when something fails, 3 when it is the configuration."""
    from clawd.cli.checks import run_checks

    found = run_checks(invocation.client, fix=fix)
    failed = [check for check in found if check.state == "error"]
    out = invocation.out
    if out.as_json:
        items = [asdict(check) for check in found]
        out.document({"schema": "clawd.doctor/1", "ok": not failed, "items": items, "next": None})
    else:
        for check in found:
            out.line(_MARKS[check.state], f" {check.name}: {check.message}")
            if check.mend:
                out.line(("     ", ""), (check.mend, "bold"))
    if not failed:
        return 0
    return 3 if any(check.name == "config" for check in failed) else 1
