"""``clawd send``: a message."""

from __future__ import annotations

import click

from clawd.cli.client import JSON
from clawd.cli.commands.chat import read_stdin
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.launch import ensure_running
from clawd.cli.nearest import naming_the_nearest, session_ids
from clawd.errors import Invalid, TimedOut

MOST_SECONDS = 600.0


@command(
    "send",
    'clawd send researcher "What is new?" --wait',
    "clawd send coder - < notes.txt",
)
@click.argument("session", shell_complete=session_ids)
@click.argument("text", metavar="TEXT|-")
@click.option("--from", "sender", metavar="S", help="In the name of a session.")
@click.option("--thread", metavar="T", help="The thread that it belongs to.")
@click.option("--wait", is_flag=True, help="Wait for the answer and print it.")
@pass_invocation
def send(
    invocation: Invocation,
    session: str,
    text: str,
    sender: str | None,
    thread: str | None,
    wait: bool,
) -> None:
    """Send a message to a session; an idle one wakes up."""
    content = read_stdin(invocation) if text == "-" else text
    if not content.strip():
        raise Invalid("empty_message", "the message is empty")
    ensure_running(invocation.client, invocation.out)
    seconds = min(invocation.timeout or MOST_SECONDS, MOST_SECONDS) if wait else None
    wanted = {"to": session, "content": content, "from": sender, "threadId": thread}
    body: JSON = {key: value for key, value in wanted.items() if value is not None}
    if seconds is not None:
        body["waitSeconds"] = seconds
    limit = None if seconds is None else seconds + 15
    sessions = "/api/sessions"
    with naming_the_nearest(invocation.client, sessions, session, (sessions, sender or session)):
        sent = invocation.client.post("/api/messages", body, timeout=limit)
    answer = sent.get("answer")
    out = invocation.out
    if wait and not answer:
        raise TimedOut(
            "no_answer",
            f"no answer to {sent['id']} within {seconds:g} s",
            hint="it will come as a message: clawd messages list",
        )
    if out.as_json:
        out.document(sent)
    elif answer:
        out.line(str(answer.get("content", "")))
    else:
        out.line(f"sent {sent['id']} to {session} ({sent.get('state') or 'stored'})")
        if sent.get("targetStatus") == "paused":
            out.note(f"{session} is paused: the message waits for clawd resume")
