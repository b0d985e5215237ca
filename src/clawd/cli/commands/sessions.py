"""``clawd sessions``: list, show, create, change, remove."""

from __future__ import annotations

import json
from pathlib import Path

import click

from clawd.cli.client import JSON
from clawd.cli.groups import group
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, quoted, session_ids
from clawd.cli.times import age, count, spent
from clawd.errors import Invalid

_AT = "/api/sessions"
REMOVE_SECONDS = 50.0
"""How long a removal may take: the daemon gives a running turn 30 s to end, and 5 s more."""

_session = click.argument("session", shell_complete=session_ids)


def ask(
    invocation: Invocation,
    session: str,
    method: str,
    path: str = "",
    body: JSON | None = None,
    *,
    timeout: float | None = None,
) -> JSON:
    """One request about a session; an unknown id is answered with the nearest."""
    with naming_the_nearest(invocation.client, _AT, session):
        return invocation.client.ask(
            method, f"{_AT}/{quoted(session, 'session')}{path}", body, timeout=timeout
        )


@command("list", "clawd sessions list", "clawd sessions list --json")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """Every session: state, model, unread mail, open tasks, cost, last activity."""
    found = invocation.client.get(_AT)
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    invocation.out.table(
        ("id", "state", "model", "unread", "tasks", "cost", "active", "description"),
        [
            (
                item["id"],
                item.get("status", "") + (" (hidden)" if item.get("hidden") else ""),
                item.get("model"),
                item.get("unread") or "",
                item.get("openTasks") or "",
                spent(item.get("usage")),
                age(item.get("lastActivity")),
                item.get("description"),
            )
            for item in found["items"]
        ],
    )


@command("show", "clawd sessions show default", "clawd sessions show default --json")
@_session
@pass_invocation
def show(invocation: Invocation, session: str) -> None:
    """Everything about one session."""
    found = ask(invocation, session, "GET")
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    usage, tokens, turn = (found.get(key) or {} for key in ("usage", "tokens", "turn"))
    identity = [
        f"{file['file']} {file['bytes']} B"
        + (f" ({file['problem']})" if file.get("problem") else "")
        for file in found.get("identity", [])
    ]
    invocation.out.facts(
        (
            ("id", found["id"]),
            ("name", found.get("name")),
            ("description", found.get("description")),
            ("state", found.get("status")),
            ("failed", found.get("failed")),
            ("turn", f"{turn['id']} ({turn['trigger']}) since {turn['since']}" if turn else ""),
            ("model", f"{found.get('model')} of {found.get('template')}"),
            ("window", f"{count(tokens.get('used') or 0)} of {count(tokens.get('window') or 0)}"),
            ("used", f"{usage.get('inputTokens', 0)} in, {usage.get('outputTokens', 0)} out"),
            ("cost", spent(usage)),
            ("unread", found.get("unread")),
            ("open tasks", found.get("openTasks")),
            ("waiting turns", found.get("queue")),
            ("role", found.get("role")),
            ("capabilities", found.get("capabilities")),
            ("hidden", found.get("hidden")),
            ("a2a", found.get("a2a")),
            ("organization", found.get("organization")),
            ("created by", found.get("createdBy")),
            ("workspace", found.get("workspace")),
            ("identity", identity),
            ("tools", found.get("tools")),
        )
    )


def _content(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Invalid("invalid_text", f"{path} is not UTF-8", hint="save it as UTF-8") from None


_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@command(
    "create",
    "clawd sessions create analyzer -t openai --description 'Analyses data'",
    "clawd sessions create writer -t offline --identity IDENTITY.md",
)
@click.argument("session")
@click.option("-t", "--template", required=True, help="The provider template.")
@click.option("--name", default="", help="Its name for humans; the id if left out.")
@click.option("--description", default="", help="What it is for; other sessions see this.")
@click.option("--model", help="A model of the template.")
@click.option("--capability", "capabilities", multiple=True, help="Something it offers.")
@click.option("--identity", type=_file, help="Its IDENTITY.md.")
@click.option("--soul", type=_file, help="Its SOUL.md.")
@click.option("--user", type=_file, help="Its USER.md.")
@click.option("--memory", type=_file, help="Its MEMORY.md.")
@click.option("--hidden", is_flag=True, help="Other sessions do not see it in lists.")
@click.option("--no-a2a", is_flag=True, help="Other sessions cannot talk to it, nor it to them.")
@pass_invocation
def create(
    invocation: Invocation,
    session: str,
    template: str,
    name: str,
    description: str,
    model: str | None,
    capabilities: tuple[str, ...],
    identity: Path | None,
    soul: Path | None,
    user: Path | None,
    memory: Path | None,
    hidden: bool,
    no_a2a: bool,
) -> None:
    """Create a session that is there at once and after every restart."""
    wanted = {
        "session_id": session,
        "provider_template": template,
        "name": name or session,
        "description": description,
        "model": model,
        "capabilities": list(capabilities),
        "identity_content": _content(identity),
        "soul_content": _content(soul),
        "user_content": _content(user),
        "memory_content": _content(memory),
        "hidden_from_agents": hidden,
        "enable_a2a": not no_a2a,
    }
    body = {key: value for key, value in wanted.items() if value is not None}
    made = invocation.client.post(_AT, body)
    invocation.report(made, f"created {made['id']} in {made.get('workspace')}")


@command("rm", "clawd sessions rm analyzer", "clawd sessions rm analyzer --yes")
@_session
@pass_invocation
def rm(invocation: Invocation, session: str) -> None:
    """Remove a session that was made at run time; its workspace stays."""
    found = ask(invocation, session, "GET")
    invocation.confirm(f"Remove {session}? Its workspace {found.get('workspace')} stays.")
    limit = invocation.timeout or REMOVE_SECONDS
    removed = ask(invocation, session, "DELETE", timeout=limit)
    invocation.report(removed, f"removed {session}; {found.get('workspace')} stays")


@command("reset", "clawd sessions reset default", "clawd sessions reset default --json")
@_session
@pass_invocation
def reset(invocation: Invocation, session: str) -> None:
    """Begin another conversation; mail and tasks are untouched."""
    invocation.report(
        ask(invocation, session, "POST", "/reset", {}), f"{session}: new conversation"
    )


@command("restart", "clawd sessions restart coder", "clawd sessions restart coder --json")
@_session
@pass_invocation
def restart(invocation: Invocation, session: str) -> None:
    """Start a session anew: the way back of one that has failed."""
    restarted = ask(invocation, session, "POST", "/restart", {})
    invocation.report(restarted, f"{session} runs again")


@command("hide", "clawd sessions hide coordinator", "clawd sessions hide coordinator --json")
@_session
@pass_invocation
def hide(invocation: Invocation, session: str) -> None:
    """Take a session out of what other sessions can list; it stays reachable by its id."""
    changed = ask(invocation, session, "PATCH", "", {"hiddenFromAgents": True})
    invocation.report(changed, f"{session} is hidden from other sessions")


@command("unhide", "clawd sessions unhide coordinator", "clawd sessions unhide coordinator --json")
@_session
@pass_invocation
def unhide(invocation: Invocation, session: str) -> None:
    """Let other sessions list a session again."""
    changed = ask(invocation, session, "PATCH", "", {"hiddenFromAgents": False})
    invocation.report(changed, f"{session} is visible to other sessions")


@command("adopt", "clawd sessions adopt analyzer", "clawd sessions adopt analyzer --json")
@_session
@pass_invocation
def adopt(invocation: Invocation, session: str) -> None:
    """Print the entry that makes a session part of config.json."""
    found = ask(invocation, session, "GET", "/config")
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    entry = json.dumps(found["entry"], indent=2, ensure_ascii=False)
    invocation.out.line(f"{json.dumps(found['id'])}: {entry}")
    invocation.out.note(('paste it under "sessions" in config.json', "dim"))


@command(
    "transcript", "clawd sessions transcript coder", "clawd sessions transcript coder --last 4"
)
@_session
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="The last N messages alone.")
@pass_invocation
def transcript(invocation: Invocation, session: str, last: int | None) -> None:
    """The present conversation, as it was said."""
    path = "/transcript" if last is None else f"/transcript?last={last}"
    found = ask(invocation, session, "GET", path)
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    for item in found["items"]:
        message = item["message"]
        trigger = f" ({item['trigger']})" if message["role"] == "user" else ""
        out.line((f"{message['role']}{trigger} {item.get('time', '')}", "bold"))
        for call in message.get("tool_calls", ()):
            out.line(
                ("  calls ", "dim"), f"{call['function']['name']} {call['function']['arguments']}"
            )
        for row in (message.get("content") or "").splitlines():
            out.line(f"  {row}")


@command("context", "clawd sessions context default", "clawd sessions context default --json")
@_session
@pass_invocation
def context(invocation: Invocation, session: str) -> None:
    """How full the model's window is, by part of the prompt."""
    from clawd.cli.chat.slash import context_row

    found = ask(invocation, session, "GET", "/context")
    if invocation.out.as_json:
        invocation.out.document(found)
        return
    for part in [*found["parts"], {"name": "free", "tokens": found["free"]}]:
        invocation.out.line(*context_row(part, found, invocation.plain, invocation.out.columns))
    if not found["parts"]:
        raise Invalid("empty", "the prompt has no parts")


_HERE = "clawd.cli.commands.sessions:"
sessions = group(
    "sessions",
    "List, show, create and change sessions.",
    {
        "list": (_HERE + "list_", "Every session with its state."),
        "show": (_HERE + "show", "Everything about one."),
        "create": (_HERE + "create", "Make one."),
        "rm": (_HERE + "rm", "Remove one that was made at run time."),
        "reset": (_HERE + "reset", "Begin another conversation."),
        "restart": (_HERE + "restart", "Start one anew that has failed."),
        "hide": (_HERE + "hide", "Hide one from the lists of others."),
        "unhide": (_HERE + "unhide", "Show it again."),
        "adopt": (_HERE + "adopt", "Print its entry for config.json."),
        "transcript": (_HERE + "transcript", "The present conversation."),
        "context": (_HERE + "context", "The prompt by part."),
    },
    "clawd sessions list",
    "clawd sessions create analyzer -t openai",
)
