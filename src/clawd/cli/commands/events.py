"""``clawd events``: what happens, as it happens."""

from __future__ import annotations

import click

from clawd.cli.chat.lines import View, lines_of
from clawd.cli.clean import one_line
from clawd.cli.client import JSON
from clawd.cli.events import Change, Events
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import session_ids, session_named
from clawd.cli.times import clock
from clawd.cli.watch import stopped_after


@command("events", "clawd events -f", "clawd events -f -s researcher --json")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("-s", "--session", shell_complete=session_ids, help="One session's alone.")
@click.option("--after", type=click.IntRange(0), metavar="SEQ", help="Begin after this number.")
@pass_invocation
def events(invocation: Invocation, follow: bool, session: str | None, after: int | None) -> None:
    """Show what happens: with -f from now on, without it what the daemon still remembers.

    With --json each event is one document a line, as the daemon sends it.
    """
    status = invocation.client.get("/api/status")
    if session is not None:
        session_named(invocation.client, session)
    last = int(status.get("seq", 0))
    stream = Events(
        invocation.client,
        after=after if after is not None or follow else 0,
        session=session or "",
        changed=lambda change: _say(invocation, change),
    )
    if not follow and last == 0:
        return
    with stopped_after(invocation.timeout, stream.close):
        for event in stream:
            _show(invocation, event)
            if not follow and event.get("seq", 0) >= last:
                break
        stream.close()


def _say(invocation: Invocation, change: Change) -> None:
    texts = {"lost": "the daemon has gone; waiting", "back": "connected again"}
    invocation.out.note((texts.get(change, "the daemon was started anew"), "yellow"))


def _show(invocation: Invocation, event: JSON) -> None:
    out = invocation.out
    if out.as_json:
        out.document(event)
        return
    where = one_line(str(event.get("session") or "-"))
    head = (f"{clock(event.get('time'))} {where} ", "dim")
    view = View(str(event.get("session")), detail=invocation.verbose, plain=invocation.plain)
    lines = lines_of(event, view)
    if lines:
        for line in lines:
            out.line(head, *line)
    elif event.get("event") not in ("text_message_content", "text_message_start"):
        text = event.get("full_content") or event.get("final_message") or event.get("text") or ""
        record = event.get("message") or event.get("task")
        if isinstance(record, dict):
            text = f"{record.get('id')} {record.get('state') or record.get('status')}"
        tool = f" {event['tool_name']}" if "tool_name" in event else ""
        out.line(head, (f"{event.get('event')}{tool} ", "cyan"), one_line(str(text), 100))
