"""``clawd start, stop, restart, status`` and ``clawd daemon run|install|uninstall``."""

from __future__ import annotations

import click

from clawd.cli.client import JSON, unreachable
from clawd.cli.commands.usage import limit_line
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.launch import start as launch
from clawd.cli.launch import stop as end
from clawd.cli.output import Output, Styled
from clawd.cli.times import clock, count, duration, spent

STOP_SECONDS = 15.0
SHOWN = 8

_drain = click.option(
    "--drain", type=click.FloatRange(min=0), metavar="S", help="Let turns end first, at most S."
)


@command("start", "clawd start", "clawd start --home ~/agents")
@pass_invocation
def start(invocation: Invocation) -> None:
    """Start the daemon in the background; one that runs already is left as it is."""
    running = invocation.client.running()
    status = running or launch(invocation.client, invocation.timeout)
    if running:
        invocation.out.note("the daemon runs already")
    show(invocation.out, status)


@command("stop", "clawd stop", "clawd stop --drain 30")
@_drain
@pass_invocation
def stop(invocation: Invocation, drain: float | None) -> None:
    """Stop the daemon; what was acknowledged is on disk and goes on at the next start."""
    status = end(invocation.client, drain, invocation.timeout or STOP_SECONDS)
    if invocation.out.as_json:
        invocation.out.document(
            {
                "schema": "clawd.stop/1",
                "stopped": status is not None,
                "pid": (status or {}).get("pid"),
            }
        )
    elif status is None:
        invocation.out.note(f"no daemon runs for {invocation.home}")
    else:
        invocation.out.line(f"stopped the daemon (pid {status['pid']})")


@command("restart", "clawd restart", "clawd restart --drain 30")
@_drain
@pass_invocation
def restart(invocation: Invocation, drain: float | None) -> None:
    """Stop the daemon, when one runs, and start it again."""
    end(invocation.client, drain, invocation.timeout or STOP_SECONDS)
    show(invocation.out, launch(invocation.client, invocation.timeout))


@command("status", "clawd status", "clawd status --json")
@pass_invocation
def status(invocation: Invocation) -> None:
    """Say how the daemon is; exit 4 when none runs."""
    found = invocation.client.running()
    if found is None:
        raise unreachable(invocation.home)
    show(invocation.out, found)


def show(out: Output, status: JSON) -> None:
    """The daemon's status: one line, then what the operator should know."""
    if out.as_json:
        out.document(status)
        return
    sessions = status.get("sessions", {})
    configuration = status.get("config", {})
    working, failed = sessions.get("busy", 0), sessions.get("failed", 0)
    state = ", ".join([f"{working} working"] + ([f"{failed} failed"] if failed else []))
    parts: list[str | Styled] = [
        ("running", "green"),
        f" · pid {status.get('pid')} · up {duration(status.get('uptimeSeconds', 0))}",
        f" · {sessions.get('total', 0)} sessions ({state})",
        f" · {status.get('unread', 0)} unread for you · {status.get('openTasks', 0)} open tasks",
        f" · config {configuration.get('state', 'ok')}",
    ]
    if status.get("offline"):
        parts.append((" · offline model", "yellow"))
    out.line(*parts)
    if waiting := status.get("approvals"):
        things = "1 thing waits" if waiting == 1 else f"{waiting} things wait"
        out.line(("  waits: ", "yellow"), f"{things} for your word; clawd approvals list")
    paused = status.get("paused") or {}
    if paused.get("all"):
        out.line(("  paused: ", "yellow"), "every session; clawd resume goes on")
    elif paused.get("sessions"):
        names = ", ".join(paused["sessions"])
        out.line(("  paused: ", "yellow"), f"{names}; clawd resume goes on")
    _show_usage(out, status.get("usage") or {})
    for problem in configuration.get("problems", []):
        out.line(("  config: ", "yellow"), _text(problem))
    for provider in status.get("providers", []):
        if not provider.get("ok", True):
            out.line((f"  provider {provider.get('id')}: ", "yellow"), _text(provider["problem"]))
    notices = status.get("notices", [])
    for notice in notices[-SHOWN:]:
        often = f" (×{notice['count']})" if notice.get("count", 1) > 1 else ""
        trace = f" · {notice['trace']}" if notice.get("trace") else ""
        out.line(
            (f"  {notice.get('level', 'info')} {clock(notice.get('time'))}: ", "yellow"),
            f"{_text(notice)}{often}",
            (trace, "dim"),
        )
    if len(notices) > SHOWN:
        out.line((f"  and {len(notices) - SHOWN} earlier: clawd status --json", "dim"))
    out.detail(f"home {status.get('home')}, socket {status.get('socket')}")


def _show_usage(out: Output, usage: JSON) -> None:
    """What today's model calls used, and each limit that is near."""
    today = usage.get("today") or {}
    if today.get("calls"):
        about = "~" if today["estimatedTokens"] else ""
        tokens = count(today["inputTokens"] + today["outputTokens"])
        cost = spent({"cost": today["cost"], "estimated": today["estimatedCost"]})
        calls = f"{today['calls']} call{'s' if today['calls'] > 1 else ''}"
        out.line(
            ("  today: ", "dim"),
            f"{about}{tokens} tokens{f' · {cost}' if cost else ''} · {calls}",
        )
    for limit in usage.get("limits") or []:
        if limit["near"]:
            out.line("  ", *limit_line(limit))


def _text(thing: object) -> str:
    if isinstance(thing, dict):
        return str(thing.get("text") or thing.get("message") or thing)
    return str(thing)


@command("run", "clawd daemon run", "clawd daemon run --home /srv/agents")
@pass_invocation
def run(invocation: Invocation) -> int:
    """Run the daemon in the foreground, its log on stderr; for a service manager."""
    # The daemon is all of clawd: only this one command pays for importing it.
    from clawd.daemon.process import main

    return int(main(invocation.home, log_to_stderr=True))


daemon = group(
    "daemon",
    "Run the daemon in the foreground, or install it as a service of the user.",
    {
        "run": ("clawd.cli.commands.daemon:run", "Run in the foreground."),
        "install": ("clawd.cli.commands.service:install", "Install a systemd user unit."),
        "uninstall": ("clawd.cli.commands.service:uninstall", "Remove the unit."),
    },
    "clawd daemon run",
    "clawd daemon install --dry-run",
)
