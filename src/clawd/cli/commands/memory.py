"""``clawd memory``: what a session has noted."""

from __future__ import annotations

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import quoted, session_ids, session_named
from clawd.cli.output import Styled
from clawd.cli.times import age

REINDEX_SECONDS = 600.0

_session = click.option(
    "-s", "--session", shell_complete=session_ids, help="Whose notes; default's if left out."
)


def _at(invocation: Invocation, session: str | None) -> str:
    chosen = str(session_named(invocation.client, session)["id"])
    return f"/api/sessions/{quoted(chosen)}/memory"


@command("search", 'clawd memory search "green tea"', "clawd memory search invoice -s coder --json")
@click.argument("words", nargs=-1, required=True)
@_session
@click.option("--limit", type=click.IntRange(1, 200), default=10, help="At most so many; 10.")
@pass_invocation
def search(invocation: Invocation, words: tuple[str, ...], session: str | None, limit: int) -> None:
    """The notes that answer some words, the best first."""
    query = {"query": " ".join(words), "limit": limit}
    found, out = invocation.client.get(_at(invocation, session), query), invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("no note answers that")
    for item in found["items"]:
        for line in note_lines(item):
            out.line(*line)
    if found["byWordsAlone"]:
        out.note(("by words alone: ", "yellow"), "the provider's embeddings fail at the moment")


def note_lines(item: JSON) -> list[list[Styled]]:
    """A found note in a few lines: where it is, its title, what answers."""
    mark = " · untrusted" if item["origin"] == "untrusted" else ""
    by = " and ".join(item["by"])
    head: list[Styled] = [
        (f"{item['path']}:{item['line']}", "cyan"),
        (f"  {item['title']}", "bold"),
        (f"  {age(item['updated'])} · by {by}{mark}", "dim"),
    ]
    # A plain note's title may be its first line: it is not said twice.
    rows = [row for row in item["text"].split("\n") if row.strip(" #") != item["title"]]
    shown = [row for row in rows if row.strip()][:3]
    return [head, *([(f"    {row[:200]}", "")] for row in shown)]


@command("list", "clawd memory list", "clawd memory list -s coder --json")
@_session
@click.option("--limit", type=click.IntRange(1, 200), default=20, help="At most so many; 20.")
@pass_invocation
def list_(invocation: Invocation, session: str | None, limit: int) -> None:
    """The notes of a session, the one changed last first."""
    found, out = invocation.client.get(_at(invocation, session), {"limit": limit}), invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("there are no notes")
        return
    out.table(
        ("id", "changed", "from", "tags", "title"),
        [
            (i["id"], age(i["updated"]), i.get("source") or "", ", ".join(i["tags"]), i["title"])
            for i in found["items"]
        ],
    )
    if found["next"]:
        out.note("there are more; --limit N shows up to 200")


@command(
    "show", "clawd memory show likes-green-tea", "clawd memory show likes-green-tea -s coder --json"
)
@click.argument("note")
@_session
@pass_invocation
def show(invocation: Invocation, note: str, session: str | None) -> None:
    """One note, whole."""
    found = invocation.client.get(f"{_at(invocation, session)}/{quoted(note)}")
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    out.line((found["title"], "bold"))
    origin = f"untrusted, from {found['source']}" if found["origin"] == "untrusted" else ""
    out.facts(
        [
            ("file", found["path"]),
            ("tags", ", ".join(found["tags"])),
            ("created", found["created"]),
            ("changed", found["updated"]),
            ("origin", origin),
        ]
    )
    out.line("")
    for row in found["text"].split("\n"):
        out.line(row)


@command(
    "forget",
    "clawd memory forget likes-green-tea",
    "clawd memory forget likes-green-tea -s coder",
)
@click.argument("note")
@_session
@pass_invocation
def forget(invocation: Invocation, note: str, session: str | None) -> None:
    """Move a note into the workspace's trash."""
    found = invocation.client.ask("DELETE", f"{_at(invocation, session)}/{quoted(note)}")
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    invocation.out.note(f"{note} is now {found['trash']}")


@command("reindex", "clawd memory reindex", "clawd memory reindex -s coder")
@_session
@pass_invocation
def reindex(invocation: Invocation, session: str | None) -> None:
    """Make the index anew from the files."""
    seconds = invocation.timeout or REINDEX_SECONDS
    found = invocation.client.post(f"{_at(invocation, session)}/reindex", {}, timeout=seconds)
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    count = found["notes"]
    invocation.out.note(f"{count} note{'s' * (count != 1)} indexed")


_HERE = "clawd.cli.commands.memory:"
memory = group(
    "memory",
    "Search what a session has noted.",
    {
        "search": (_HERE + "search", "The notes that answer some words."),
        "list": (_HERE + "list_", "The notes of a session."),
        "show": (_HERE + "show", "One, whole."),
        "forget": (_HERE + "forget", "Move one into the trash."),
        "reindex": (_HERE + "reindex", "Make the index anew from the files."),
    },
    "clawd memory search green tea",
    "clawd memory list -s coder",
)
