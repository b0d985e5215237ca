"""``clawd schedules``: when sessions wake themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, quoted, session_ids
from clawd.cli.times import clock
from clawd.errors import Invalid

_AT = "/api/schedules"
_SESSIONS = "/api/sessions"

_schedule = click.argument("schedule")
_whose = click.option(
    "-s", "--session", metavar="S", help="Whose it is.", shell_complete=session_ids
)


def _ask(
    invocation: Invocation,
    schedule: str,
    session: str | None,
    method: str,
    path: str = "",
    body: Any = None,
) -> JSON:
    """One request about a schedule; an unknown id is answered with the nearest."""
    query = f"?session={quoted(session)}" if session else ""
    with naming_the_nearest(invocation.client, _SESSIONS, session or "", (_AT, schedule)):
        return invocation.client.ask(method, f"{_AT}/{quoted(schedule)}{path}{query}", body)


def _timing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say when, and how."""
    for option in reversed(
        (
            click.option("--once", metavar="TIME", help='A time, or "in 10 minutes".'),
            click.option("--every", metavar="PERIOD", help='A period, such as "2 hours".'),
            click.option("--cron", metavar="LINE", help="Minute hour day month weekday."),
            click.option("--zone", metavar="ZONE", help="The time zone, such as Europe/Berlin."),
            click.option("--missed", type=click.Choice(("run", "skip")), help="What was missed."),
            click.option(
                "--heartbeat/--no-heartbeat", default=None, help="Final texts are mail to you."
            ),
        )
    ):
        function = option(function)
    return function


def _given(**options: Any) -> JSON:
    return {name: value for name, value in options.items() if value is not None}


@command("list", "clawd schedules list", "clawd schedules list -s researcher --json")
@_whose
@pass_invocation
def list_(invocation: Invocation, session: str | None) -> None:
    """Schedules: when they are due, and how the last run went."""
    with naming_the_nearest(invocation.client, _SESSIONS, session or ""):
        found = invocation.client.get(_AT, {"session": session})
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("no schedules")
        return
    out.table(
        ("id", "session", "state", "when", "next", "last", "text"),
        [
            (
                item["id"],
                item["session"],
                item["state"],
                _when(item),
                "" if item["paused"] else clock(item["next"]),
                (item.get("last") or {}).get("result", ""),
                item["text"],
            )
            for item in found["items"]
        ],
    )


def _when(item: JSON) -> str:
    if item.get("cron"):
        return f"{item['cron']} {item['zone']}"
    return "once" if item.get("once") else str(item["describes"])


def _show(invocation: Invocation, schedule: JSON) -> None:
    out = invocation.out
    if out.as_json:
        out.document(schedule)
        return
    apart = ("schema", "text", "open", "last", "once", "every", "cron", "zone", "budget")
    out.facts((key, value) for key, value in schedule.items() if key not in apart)
    for name in ("open", "last"):
        if (run := schedule.get(name)) is not None:
            error = f": {run['error']}" if run.get("error") else ""
            result = "waits or runs" if name == "open" else run["result"]
            out.line((f"{name} run ", "dim"), f"{run['turn']} for {run['due']} {result}{error}")
    out.line(schedule["text"])


@command("show", "clawd schedules show morning -s default", "clawd schedules show sched-01k...")
@_schedule
@_whose
@pass_invocation
def show(invocation: Invocation, schedule: str, session: str | None) -> None:
    """One schedule, whole."""
    _show(invocation, _ask(invocation, schedule, session, "GET"))


@command(
    "create",
    'clawd schedules create default "Remind me of the bread" --once "in 40 minutes"',
    'clawd schedules create default "What is new?" --cron "0 8 * * 1-5" --zone Europe/Berlin',
)
@click.argument("session", shell_complete=session_ids)
@click.argument("text")
@_timing
@pass_invocation
def create(invocation: Invocation, /, session: str, text: str, **options: Any) -> None:
    """Let a session wake with a text: --once, --every or --cron."""
    with naming_the_nearest(invocation.client, _SESSIONS, session):
        made = invocation.client.post(_AT, {"session": session, "text": text} | _given(**options))
    invocation.report(made, f"{made['id']} {made['describes']}; next {made['next']}")


@command(
    "update",
    'clawd schedules update sched-01k... --every "1 hour"',
    'clawd schedules update sched-01k... --text "Look for news"',
)
@_schedule
@_whose
@click.option("--text", help="What is said then.")
@_timing
@pass_invocation
def update(invocation: Invocation, /, schedule: str, session: str | None, **options: Any) -> None:
    """Change a schedule; what is left out stays."""
    body = _given(**options)
    if not body:
        raise Invalid("usage", "nothing to change", hint="see clawd schedules update -h")
    done = _ask(invocation, schedule, session, "PATCH", body=body)
    invocation.report(done, f"{done['id']} {done['describes']}; next {done['next'] or 'none'}")


@command("delete", "clawd schedules delete sched-01k...", "clawd schedules delete x -s default")
@_schedule
@_whose
@pass_invocation
def delete(invocation: Invocation, schedule: str, session: str | None) -> None:
    """Take a schedule away; a run that has begun goes on."""
    done = _ask(invocation, schedule, session, "DELETE")
    invocation.report(done, f"{done['id']} is gone")


@command("pause", "clawd schedules pause sched-01k...", "clawd schedules pause morning -s default")
@_schedule
@_whose
@pass_invocation
def pause(invocation: Invocation, schedule: str, session: str | None) -> None:
    """Let a schedule stand still."""
    done = _ask(invocation, schedule, session, "POST", "/pause", {})
    invocation.report(done, f"{done['id']} is paused; clawd schedules resume {done['id']} goes on")


@command("resume", "clawd schedules resume sched-01k...", "clawd schedules resume x -s default")
@_schedule
@_whose
@pass_invocation
def resume(invocation: Invocation, schedule: str, session: str | None) -> None:
    """Let a paused schedule go on from its next time."""
    done = _ask(invocation, schedule, session, "POST", "/resume", {})
    invocation.report(done, f"{done['id']} goes on; next {done['next'] or 'none'}")


@command("run", "clawd schedules run sched-01k...", "clawd schedules run morning -s default")
@_schedule
@_whose
@pass_invocation
def run(invocation: Invocation, schedule: str, session: str | None) -> None:
    """Begin a run now; its own times stay as they are."""
    done = _ask(invocation, schedule, session, "POST", "/run", {})
    invocation.report(done, f"{done['id']} runs: {done['turn']} of {done['session']}")


_HERE = "clawd.cli.commands.schedules:"
schedules = group(
    "schedules",
    "See, make and change schedules of sessions.",
    {
        "list": (_HERE + "list_", "When they are due, how they went."),
        "show": (_HERE + "show", "One schedule, whole."),
        "create": (_HERE + "create", "Let a session wake once, or again and again."),
        "update": (_HERE + "update", "Change one."),
        "delete": (_HERE + "delete", "Take one away."),
        "pause": (_HERE + "pause", "Let one stand still."),
        "resume": (_HERE + "resume", "Let a paused one go on."),
        "run": (_HERE + "run", "Begin a run now."),
    },
    'clawd schedules create default "Remind me of the bread" --once "in 40 minutes"',
    "clawd schedules list",
)
