"""``clawd messages``: mailboxes with their true states."""

from __future__ import annotations

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, quoted, session_ids
from clawd.cli.times import clock
from clawd.errors import Invalid

_AT = "/api/messages"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_session = click.option(
    "-s",
    "--session",
    shell_complete=session_ids,
    help="Whose mailbox; yours if left out, * for all.",
)
_limit = click.option("--limit", type=click.IntRange(1, 1000), default=50, help="At most so many.")


class Age(click.ParamType[float]):
    """A length of time such as ``30d``, ``12h``, ``90s``; seconds without a unit."""

    name = "age"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The age in seconds."""
        if isinstance(value, float):
            return value
        number, unit = (value[:-1], value[-1:]) if value[-1:] in _UNITS else (value, "s")
        try:
            seconds = float(number) * _UNITS[unit]
        except ValueError:
            seconds = -1.0
        if seconds < 0:
            self.fail(f"{value!r} is no age; write 30d, 12h, 15m or 90s", param, ctx)
        return seconds


def _list(invocation: Invocation, found: JSON) -> None:
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("no messages")
        return
    out.table(
        ("id", "time", "from", "to", "thread", "state", "content"),
        [
            (
                item["id"],
                clock(item.get("timestamp")),
                item["from"],
                item["to"],
                item.get("threadId"),
                _state(item),
                item["content"],
            )
            for item in found["items"]
        ],
    )


def _state(item: JSON) -> str:
    state = str(item.get("state") or ("read" if item.get("read") else "stored"))
    return (
        state if item.get("read") or state not in ("stored", "delivered") else f"{state} (unread)"
    )


@command("list", "clawd messages list", "clawd messages list -s researcher --unread")
@_session
@click.option("--unread", is_flag=True, help="Unread ones alone.")
@click.option("--thread", help="One thread alone.")
@click.option("--from", "sender", help="From one sender alone.")
@click.option("--state", help="In one state alone: stored, delivered, read, answered, dead, ...")
@_limit
@pass_invocation
def list_(
    invocation: Invocation,
    session: str | None,
    unread: bool,
    thread: str | None,
    sender: str | None,
    state: str | None,
    limit: int,
) -> None:
    """The messages of a mailbox, oldest first."""
    query = {
        "session": session,
        "unread": True if unread else None,
        "thread": thread,
        "from": sender,
        "state": state,
        "limit": limit,
    }
    with naming_the_nearest(invocation.client, "/api/sessions", session or ""):
        found = invocation.client.get(_AT, query)
    _list(invocation, found)


@command("show", "clawd messages show msg-01k...", "clawd messages show msg-01k... --json")
@click.argument("message")
@pass_invocation
def show(invocation: Invocation, message: str) -> None:
    """One message, whole."""
    with naming_the_nearest(invocation.client, f"{_AT}?session=*", message):
        found = invocation.client.get(f"{_AT}/{quoted(message, 'message')}")
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    hidden = ("schema", "content")
    out.facts((key, value) for key, value in found.items() if key not in hidden)
    out.line("")
    out.line(found["content"])


@command("read", "clawd messages read msg-01k...", "clawd messages read -s researcher")
@click.argument("ids", nargs=-1, metavar="[MESSAGE]...")
@_session
@click.option("--thread", help="One thread of the mailbox alone.")
@pass_invocation
def read(
    invocation: Invocation, ids: tuple[str, ...], session: str | None, thread: str | None
) -> None:
    """Mark messages as read: those named, or a whole mailbox (yours if left out)."""
    body: JSON = {"ids": list(ids)} if ids else {"session": session or "operator"}
    if thread and not ids:
        body["thread"] = thread
    done = invocation.client.post(f"{_AT}/read", body)
    invocation.report(done, f"{done['read']} marked as read")


@command("thread", "clawd messages thread task-01k...", "clawd messages thread alpha --json")
@click.argument("thread")
@_session
@_limit
@pass_invocation
def thread(invocation: Invocation, thread: str, session: str | None, limit: int) -> None:
    """The messages of one thread, in every mailbox unless one is named."""
    query = {"session": session or "*", "thread": thread, "limit": limit}
    _list(invocation, invocation.client.get(_AT, query))


@command("search", "clawd messages search 'three sources'", "clawd messages search budget -s coder")
@click.argument("words")
@_session
@_limit
@pass_invocation
def search(invocation: Invocation, words: str, session: str | None, limit: int) -> None:
    """Messages that contain words, in every mailbox unless one is named."""
    query = {"session": session or "*", "query": words, "limit": limit}
    _list(invocation, invocation.client.get(_AT, query))


@command("dead", "clawd messages dead", "clawd messages dead --json")
@_limit
@pass_invocation
def dead(invocation: Invocation, limit: int) -> None:
    """Messages that were given up, with the reason."""
    found = invocation.client.get(_AT, {"session": "*", "state": "dead", "limit": limit})
    if invocation.out.as_json or not found["items"]:
        _list(invocation, found)
        return
    invocation.out.table(
        ("id", "from", "to", "reason", "content"),
        [
            (item["id"], item["from"], item["to"], item.get("reason"), item["content"])
            for item in found["items"]
        ],
    )


@command("requeue", "clawd messages requeue msg-01k...", "clawd messages requeue msg-01k... --json")
@click.argument("message")
@pass_invocation
def requeue(invocation: Invocation, message: str) -> None:
    """Try a dead, expired or held message again."""
    with naming_the_nearest(invocation.client, f"{_AT}?session=*", message):
        done = invocation.client.post(f"{_AT}/requeue", {"id": message})
    invocation.report(done, f"{message} waits for {done.get('to')} again")


@command("prune", "clawd messages prune --older-than 30d", "clawd messages prune --thread x -y")
@_session
@click.option("--thread", help="One thread alone.")
@click.option("--older-than", type=Age(), metavar="AGE", help="Older than 30d, 12h, ... alone.")
@click.option("--dry-run", is_flag=True, help="Count, remove nothing.")
@pass_invocation
def prune(
    invocation: Invocation,
    session: str | None,
    thread: str | None,
    older_than: float | None,
    dry_run: bool,
) -> None:
    """Remove read messages, by thread or age."""
    if thread is None and older_than is None:
        raise Invalid("usage", "say which: --thread or --older-than", hint="--older-than 0s is all")
    wanted = {"session": session, "thread": thread, "olderThanSeconds": older_than}
    body: JSON = {key: value for key, value in wanted.items() if value is not None}
    count = invocation.client.post(f"{_AT}/prune", {**body, "dryRun": True})
    if dry_run:
        invocation.report(count, f"{count['removed']} would be removed")
        return
    if count["removed"]:
        invocation.confirm(f"Remove {count['removed']} read messages?")
    done = invocation.client.post(f"{_AT}/prune", body)
    invocation.report(done, f"{done['removed']} removed")


@command("compact", "clawd messages compact", "clawd messages compact -s researcher")
@_session
@pass_invocation
def compact(invocation: Invocation, session: str | None) -> None:
    """Rewrite mailbox files with one line per message."""
    body = {"session": session} if session and session != "*" else {}
    done = invocation.client.post(f"{_AT}/compact", body)
    invocation.report(done, f"{done['before']} bytes before, {done['after']} now")


_HERE = "clawd.cli.commands.messages:"
messages = group(
    "messages",
    "Read mailboxes with their true states.",
    {
        "list": (_HERE + "list_", "The messages of a mailbox."),
        "show": (_HERE + "show", "One message, whole."),
        "read": (_HERE + "read", "Mark messages as read."),
        "thread": (_HERE + "thread", "The messages of one thread."),
        "search": (_HERE + "search", "Messages that contain words."),
        "dead": (_HERE + "dead", "Messages that were given up."),
        "requeue": (_HERE + "requeue", "Try a given-up one again."),
        "prune": (_HERE + "prune", "Remove read messages."),
        "compact": (_HERE + "compact", "Shorten the files."),
    },
    "clawd messages list --unread",
    "clawd messages thread task-01k...",
)
