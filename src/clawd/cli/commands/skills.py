"""``clawd skills``: what a session can read up on."""

from __future__ import annotations

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import quoted, session_ids, session_named

_session = click.option(
    "-s", "--session", shell_complete=session_ids, help="Whose skills; default's if left out."
)


def _of(invocation: Invocation, session: str | None, path: str = "/api/skills") -> JSON:
    chosen = str(session_named(invocation.client, session)["id"])
    return invocation.client.get(path, {"session": chosen})


@command("list", "clawd skills list", "clawd skills list -s coder --json")
@_session
@pass_invocation
def list_(invocation: Invocation, session: str | None) -> None:
    """The skills that a session is offered, and what is wrong with others."""
    found, out = _of(invocation, session), invocation.out
    if out.as_json:
        out.document(found)
        return
    if found["items"]:
        out.table(
            ("name", "from", "state", "description"),
            [(i["name"], i["where"], _state(i), i["description"]) for i in found["items"]],
        )
    else:
        out.note("no skill was found; docs/skills.md says where they are put")
    for item in found["items"]:
        for line in item["loose"]:
            out.note((f"{item['name']}: ", "yellow"), line)
    for line in found["clashes"]:
        out.note(line)
    for line in found["problems"]:
        out.note(("broken: ", "red"), line)


def _state(item: JSON) -> str:
    if item["untrusted"]:
        return "untrusted"
    return "loose" if item["loose"] else "ok"


@command("show", "clawd skills show pdf-forms", "clawd skills show pdf-forms -s coder")
@click.argument("name")
@_session
@pass_invocation
def show(invocation: Invocation, name: str, session: str | None) -> None:
    """One skill: its head, its files, its text."""
    skill, out = _of(invocation, session, f"/api/skills/{quoted(name)}"), invocation.out
    if out.as_json:
        out.document(skill)
        return
    out.line((skill["name"], "bold"))
    out.line(skill["description"])
    out.line("")
    out.facts(
        [
            ("folder", skill["folder"]),
            ("state", _state(skill)),
            ("license", skill["license"]),
            ("needs", skill["compatibility"]),
            ("files", skill["files"]),
        ]
    )
    for line in skill["loose"]:
        out.note((f"{skill['name']}: ", "yellow"), line)
    out.line("")
    out.line(skill["text"])


_HERE = "clawd.cli.commands.skills:"
skills = group(
    "skills",
    "List and show the skills of a session.",
    {
        "list": (_HERE + "list_", "The skills of a session, and what is wrong with others."),
        "show": (_HERE + "show", "One with its files and its text."),
    },
    "clawd skills list -s coder",
    "clawd skills show pdf-forms",
)
