"""``clawd approvals``: what waits for your yes, or for your answer."""

from __future__ import annotations

import click

from clawd.cli.chat.waiting import argument_rows
from clawd.cli.clean import clean, one_line
from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, quoted, session_ids
from clawd.cli.times import clock

_id = click.argument("id_", metavar="ID")
_STATES = ("open", "allowed", "used", "denied", "answered", "expired", "withdrawn", "all")


@command("list", "clawd approvals list", "clawd approvals list --state all --json")
@click.option("-s", "--session", shell_complete=session_ids, help="Of this session alone.")
@click.option("--state", type=click.Choice(_STATES), default="open", help="open when left out.")
@pass_invocation
def list_(invocation: Invocation, session: str | None, state: str) -> None:
    """What waits for you, oldest first."""
    query = {"session": session, "state": state}
    found = invocation.client.get("/api/approvals", query)
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("nothing waits for you" if state == "open" else f"nothing is {state}")
        return
    out.table(
        ("id", "state", "session", "wants", "until"),
        [
            (a["id"], a["state"], a["session"], wants(a), clock(a["expiresAt"]))
            for a in found["items"]
        ],
    )


def wants(approval: JSON, limit: int = 80) -> str:
    """What an approval is about, on one line."""
    if approval["kind"] == "question":
        return one_line(approval["text"], limit)
    return one_line(f"{approval['tool']} {approval.get('arguments', '')}", limit)


@command("show", "clawd approvals show appr-…", "clawd approvals show appr-… --json")
@_id
@pass_invocation
def show(invocation: Invocation, id_: str) -> None:
    """One with everything that is known of it."""
    with naming_the_nearest(invocation.client, "/api/approvals", id_):
        found = invocation.client.get(f"/api/approvals/{quoted(id_)}")
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    what = "asks" if found["kind"] == "question" else f"wants {found['tool']}"
    out.line((f"{found['session']} {what}", "bold"), f" · {found['state']}")
    if found["kind"] == "question":
        out.line(clean(found["text"]))
        for option in found.get("options", []):
            out.line(f"  - {one_line(option, 200)}")
    else:
        for row in argument_rows(found.get("arguments", "")):
            out.line(f"  {row}")
        out.line(f"because {one_line(found['text'], 300)}")
    out.line(f"led there: {one_line(found.get('cause', ''), 300)}")
    out.line(f"trace {found.get('trace', '')} · task {found.get('task') or 'none'}")
    out.line(f"asked {clock(found['createdAt'])}, until {clock(found['expiresAt'])}")
    if found["state"] == "open":
        verb = "answer" if found["kind"] == "question" else "allow"
        out.note(f"clawd approvals {verb} {found['id']}")
    elif found.get("decidedAt"):
        said = f": {one_line(found['answer'], 300)}" if found.get("answer") else ""
        out.line(f"{found['state']} by {found['by']} at {clock(found['decidedAt'])}{said}")


def _decide(invocation: Invocation, id_: str, **body: object) -> None:
    with naming_the_nearest(invocation.client, "/api/approvals", id_):
        found = invocation.client.post(f"/api/approvals/{quoted(id_)}", body)
    told = f"{found['id']} is {found['state']}; {found['session']} goes on"
    if standing := found.get("standing"):
        told += f". From now on needs no yes: {standing['pattern']} ({standing['id']})"
    invocation.report(found, told)


@command("allow", "clawd approvals allow appr-…", "clawd approvals allow appr-… --always")
@_id
@click.option("--always", is_flag=True, help="Calls like this one need no yes any more.")
@pass_invocation
def allow(invocation: Invocation, id_: str, always: bool) -> None:
    """Say yes: the call is made, once."""
    _decide(invocation, id_, decision="allow", always=always)


@command("deny", "clawd approvals deny appr-…", 'clawd approvals deny appr-… "not on a Friday"')
@_id
@click.argument("why", default="")
@pass_invocation
def deny(invocation: Invocation, id_: str, why: str) -> None:
    """Say no; the session is told, with your reason if you give one."""
    _decide(invocation, id_, decision="deny", answer=why)


@command("answer", 'clawd approvals answer appr-… "port 8080"', "clawd approvals answer appr-… yes")
@_id
@click.argument("text")
@pass_invocation
def answer(invocation: Invocation, id_: str, text: str) -> None:
    """Answer a question of a session."""
    _decide(invocation, id_, decision="answer", answer=text)


@command("rules", "clawd approvals rules", "clawd approvals rules --json")
@pass_invocation
def rules(invocation: Invocation) -> None:
    """What you said always to allow."""
    found = invocation.client.get("/api/approvals/rules")
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("no standing rules; tools.approval in config.json has yours")
        return
    out.table(
        ("id", "session", "needs no yes", "since"),
        [(r["id"], r["session"], r["pattern"], clock(r["createdAt"])) for r in found["items"]],
    )


@command("forget", "clawd approvals forget rule-…", "clawd approvals forget rule-… --json")
@_id
@pass_invocation
def forget(invocation: Invocation, id_: str) -> None:
    """Take a standing rule back: such calls need your yes again."""
    with naming_the_nearest(invocation.client, "/api/approvals/rules", id_):
        path = f"/api/approvals/rules/{quoted(id_)}"
        gone = invocation.client.delete(path)
    invocation.report(gone, f"{gone['pattern']} needs your yes again")


_HERE = "clawd.cli.commands.approvals:"
approvals = group(
    "approvals",
    "See and settle what waits for you.",
    {
        "list": (_HERE + "list_", "What waits for you."),
        "show": (_HERE + "show", "One with everything that is known of it."),
        "allow": (_HERE + "allow", "Say yes."),
        "deny": (_HERE + "deny", "Say no."),
        "answer": (_HERE + "answer", "Answer a question."),
        "rules": (_HERE + "rules", "What you said always to allow."),
        "forget": (_HERE + "forget", "Take a standing rule back."),
    },
    "clawd approvals list",
    "clawd approvals allow appr-… --always",
)
