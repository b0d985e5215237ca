"""``clawd mcp``: the MCP servers of your sessions, and your word on tools that changed."""

from __future__ import annotations

import click

from clawd.cli.clean import one_line
from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import quoted, session_ids
from clawd.cli.output import Output
from clawd.errors import NotFound
from clawd.nearest import nearest

_session = click.option(
    "-s", "--session", shell_complete=session_ids, help="Whose; needed when several have one."
)
_server = click.argument("server")
_SHOWN_LINES = 12
_STYLES = {"ready": "green", "starting": "yellow", "waiting": "yellow", "parked": "red"}


def _one(invocation: Invocation, server: str, session: str | None) -> JSON:
    return invocation.client.get(f"/api/mcp/{quoted(server)}", {"session": session})


def _held(found: JSON) -> list[JSON]:
    return [tool for tool in found["tools"] if tool["state"] == "held"]


@command("list", "clawd mcp list", "clawd mcp list -s coder --json")
@click.option("-s", "--session", shell_complete=session_ids, help="Of this session alone.")
@pass_invocation
def list_(invocation: Invocation, session: str | None) -> None:
    """The servers, how they are, and what changed of their tools."""
    found = invocation.client.get("/api/mcp", {"session": session})
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("no session has an MCP server; docs/mcp.md says how to give it one")
        return
    out.table(
        ("server", "session", "state", "tools", "held", "start"),
        [
            (
                item["server"],
                item["session"],
                item["state"],
                sum(tool["state"] == "offered" for tool in item["tools"]),
                len(_held(item)) or "",
                item["start"],
            )
            for item in found["items"]
        ],
        right=(3, 4),
    )
    for item in found["items"]:
        if item["reason"]:
            style = _STYLES.get(item["state"], "")
            out.line((f"{item['server']}: ", style), one_line(item["reason"]))
        for tool in _held(item):
            _difference(out, item, tool, _SHOWN_LINES)


def _difference(out: Output, item: JSON, tool: JSON, most: int) -> None:
    out.line(
        (f"{item['server']}: {one_line(tool['tool'])} is held", "yellow"), f": {tool['reason']}"
    )
    lines = tool["difference"]
    for line in lines[:most]:
        style = {"+": "green", "-": "red"}.get(line[:1], "dim")
        out.line((f"  {one_line(line[:1])} {one_line(line[1:])}", style))
    if len(lines) > most:
        out.line((f"  … {len(lines) - most} more lines: clawd mcp show {item['server']}", "dim"))


@command("show", "clawd mcp show github", "clawd mcp show github -s coder --json")
@_server
@_session
@pass_invocation
def show(invocation: Invocation, server: str, session: str | None) -> None:
    """One with every tool, and what each says of itself."""
    found = _one(invocation, server, session)
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    out.facts(
        [
            ("server", found["server"]),
            ("session", found["session"]),
            ("state", found["state"]),
            ("reason", found["reason"]),
            ("start", found["start"]),
            ("sandbox", {True: "yes", False: "no", None: ""}[found["sandbox"]]),
            ("says it is", found["title"]),
            ("protocol", found["protocol"]),
            ("restarts", found["restarts"] or ""),
        ]
    )
    for tool in found["tools"]:
        state = "" if tool["state"] == "offered" else f" · {tool['state']}: {tool['reason']}"
        out.line("")
        out.line((one_line(tool["name"] or tool["tool"]), "bold"), (one_line(state), "yellow"))
        out.line(f"  {one_line(tool['description'], 400)}")
        for name, about in ((tool["parameters"] or {}).get("properties") or {}).items():
            text = about.get("description", "") if isinstance(about, dict) else ""
            out.line(("  " + one_line(name), "dim"), f"  {one_line(str(text), 200)}")
        if tool["state"] == "held":
            _difference(out, found, tool, len(tool["difference"]))


@command("approve", "clawd mcp approve github", "clawd mcp approve github create_issue -s coder")
@_server
@click.argument("tool", required=False)
@_session
@pass_invocation
def approve(invocation: Invocation, server: str, tool: str | None, session: str | None) -> None:
    """Offer a held tool as it is now, or all that are held.

    What you approve of is what is printed: a tool that changes meanwhile stays held.
    """
    found = _one(invocation, server, session)
    held = _held(found)
    chosen = [each for each in held if tool in (None, each["tool"], each["name"])]
    out = invocation.out
    if not chosen:
        near = nearest(tool or "", (each["tool"] for each in held))
        raise NotFound(
            "mcp_not_held",
            f"no tool of {server} is held" if tool is None else f"{tool!a} of {server} is not held",
            hint=f"did you mean {near}?" if near else "clawd mcp list shows what is held",
        )
    if not out.as_json:
        for each in chosen:
            _difference(out, found, each, len(each["difference"]))
    names = ", ".join(one_line(each["tool"]) for each in chosen)
    invocation.confirm(f"Offer {names} as shown?")
    path = f"/api/mcp/{quoted(server)}/approve?session={quoted(found['session'])}"
    tools = {each["name"]: each["fingerprint"] for each in chosen}
    invocation.report(invocation.client.post(path, {"tools": tools}), f"approved: {names}")


@command("restart", "clawd mcp restart github", "clawd mcp restart github -s coder")
@_server
@_session
@pass_invocation
def restart(invocation: Invocation, server: str, session: str | None) -> None:
    """Start it anew, also when it is parked."""
    query = f"?session={quoted(session)}" if session else ""
    done = invocation.client.post(f"/api/mcp/{quoted(server)}/restart{query}")
    invocation.report(done, f"{server} is starting; clawd mcp list says how it went")


_HERE = "clawd.cli.commands.mcp:"
mcp = group(
    "mcp",
    "List, show, approve and restart MCP servers.",
    {
        "list": (_HERE + "list_", "The servers, and what changed of their tools."),
        "show": (_HERE + "show", "One with every tool."),
        "approve": (_HERE + "approve", "Offer held tools as they are now."),
        "restart": (_HERE + "restart", "Start one anew, also when it is parked."),
    },
    "clawd mcp list",
    "clawd mcp approve github",
)
