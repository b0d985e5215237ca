"""``clawd tools``: what a session can call."""

from __future__ import annotations

import json
from typing import Any

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import quoted, session_ids, session_named
from clawd.errors import Invalid, NotFound
from clawd.nearest import nearest

_session = click.option(
    "-s", "--session", shell_complete=session_ids, help="Whose tools; default's if left out."
)


def _of(invocation: Invocation, session: str | None) -> tuple[str, JSON]:
    chosen = str(session_named(invocation.client, session)["id"])
    return chosen, invocation.client.get("/api/tools", {"session": chosen})


@command("list", "clawd tools list", "clawd tools list -s coder --json")
@_session
@pass_invocation
def list_(invocation: Invocation, session: str | None) -> None:
    """The tools of a session."""
    _, found = _of(invocation, session)
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    invocation.out.table(
        ("name", "group", "parameters", "what it does"),
        [
            (
                item["name"],
                item.get("group", ""),
                ", ".join(item.get("parameters", {}).get("properties", {})),
                item.get("description", "").split("\n")[0],
            )
            for item in found["items"]
        ],
    )
    for problem in found.get("problems", []):
        invocation.out.note(("not loaded: ", "red"), problem)


def _named(items: list[JSON], name: str) -> JSON:
    for item in items:
        if item["name"] == name:
            return item
    near = nearest(name, (item["name"] for item in items))
    raise NotFound(
        "tool_not_found",
        f"the session has no tool {name!r}",
        hint=f"did you mean {near}?" if near else "clawd tools list shows them",
    )


@command(
    "show", "clawd tools show send_message_to_session", "clawd tools show list_agents -s coder"
)
@click.argument("name")
@_session
@pass_invocation
def show(invocation: Invocation, name: str, session: str | None) -> None:
    """One tool with its parameters."""
    tool = _named(_of(invocation, session)[1]["items"], name)
    out = invocation.out
    if out.as_json:
        out.document({"schema": "clawd.tool/1", **tool})
        return
    out.line((tool["name"], "bold"))
    out.line(tool.get("description", ""))
    out.line((f"group: {tool.get('group', '')}", "dim"))
    schema = tool.get("parameters", {})
    required = schema.get("required", [])
    out.line("")
    out.table(
        ("parameter", "type", "needed", "meaning"),
        [
            (key, _type(value), key in required, value.get("description"))
            for key, value in schema.get("properties", {}).items()
        ],
    )


def _type(schema: JSON) -> str:
    kinds = schema.get("anyOf") or [schema]
    return " or ".join(str(kind.get("type", "any")) for kind in kinds)


@command(
    "call",
    """clawd tools call list_agents '{}'""",
    """clawd tools call send_message_to_session '{"target_session": "coder", "message": "Hi"}'""",
)
@click.argument("name")
@click.argument("arguments", default="{}", metavar="[JSON]")
@_session
@pass_invocation
def call(invocation: Invocation, name: str, arguments: str, session: str | None) -> int:
    """Run a tool as a session, on your word; exit 1 when it refuses."""
    try:
        given: Any = json.loads(arguments)
    except ValueError as problem:
        raise Invalid("invalid_arguments", f"the arguments are not JSON: {problem}") from None
    if not isinstance(given, dict):
        raise Invalid("invalid_arguments", "the arguments must be a JSON object")
    chosen, found = _of(invocation, session)
    _named(found["items"], name)
    body = {"session": chosen, "arguments": given}
    result = invocation.client.post(
        f"/api/tools/{quoted(name)}", body, timeout=invocation.timeout or 600.0
    )
    out = invocation.out
    if out.as_json:
        out.document(result)
    elif result.get("text"):
        out.line(result["text"])
    else:
        shown = result["result"]
        out.line(shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False))
    return 0 if result["ok"] else 1


_HERE = "clawd.cli.commands.tools:"
tools = group(
    "tools",
    "List, show and call a session's tools.",
    {
        "list": (_HERE + "list_", "The tools of a session."),
        "show": (_HERE + "show", "One with its parameters."),
        "call": (_HERE + "call", "Run one as a session, on your word."),
    },
    "clawd tools list -s coder",
    "clawd tools call list_agents",
)
