"""``clawd pause`` and ``clawd resume``: the switch that stops every model call."""

from __future__ import annotations

import click

from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, session_ids

_session = click.argument("session", required=False, shell_complete=session_ids)


@command("pause", "clawd pause", "clawd pause researcher")
@_session
@pass_invocation
def pause(invocation: Invocation, session: str | None) -> None:
    """Stop every model call within a second, or those of one session, until resume.

    Running turns are cut off and go on later where they stopped. Mail, tasks and your own lines
    are taken and wait; deadlines run on. A restart changes nothing about it.
    """
    with naming_the_nearest(invocation.client, "/api/sessions", session or ""):
        done = invocation.client.post("/api/pause", {"session": session} if session else {})
    turns = len(done["turns"])
    stopped = f"{turns} turn{'' if turns == 1 else 's'} stopped" if turns else "no turn was running"
    whom = f"{session} is" if session else "every session is"
    resume = f"clawd resume {session}" if session else "clawd resume"
    invocation.report(done, f"{whom} paused, {stopped}; {resume} goes on")


@command("resume", "clawd resume", "clawd resume researcher")
@_session
@pass_invocation
def resume(invocation: Invocation, session: str | None) -> None:
    """Go on where pause stopped: everywhere, or in one session."""
    with naming_the_nearest(invocation.client, "/api/sessions", session or ""):
        done = invocation.client.post("/api/resume", {"session": session} if session else {})
    going = len(done["sessions"])
    if session:
        text = f"{session} goes on" if going else f"{session} was not paused"
    elif going:
        text = "1 session goes on" if going == 1 else f"{going} sessions go on"
    else:
        text = "nothing was paused"
    invocation.report(done, text)
