"""``clawd demo``: sessions at work, offline, in a home that is thrown away."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from clawd.cli.chat.lines import View, lines_of, message_line, task_line
from clawd.cli.clean import clean
from clawd.cli.client import JSON, Client
from clawd.cli.detect import OFFLINE
from clawd.cli.events import Events
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.launch import start, stop
from clawd.cli.output import Output
from clawd.cli.quiet import Quiet
from clawd.cli.watch import stopped_after
from clawd.errors import ClawdError, TimedOut

STEP_SECONDS = 60.0

EXAMPLES = (
    (
        "Send a message",
        'Use send_message_to_session to send "Hello from Claw!" to session "researcher"',
    ),
    (
        "Delegate a task",
        'Use delegate_task_async to ask "coder" session to '
        '"Implement a new API endpoint for user profiles"',
    ),
    (
        "Create a session",
        'Use create_session to create a session called "analyzer" using "openai" template '
        "with custom identity focusing on data analysis",
    ),
    ("Read messages", "Use read_session_messages to see if I have any new messages"),
)
"""The four examples of the tools' documentation, word for word."""


def _delegation(session: str, task: str) -> str:
    arguments = json.dumps({"target_session": session, "task": task})
    return f"Use delegate_task_async with {arguments}"


WORKFLOW = (
    "Three sessions work: default asks researcher, researcher asks coder, the results come back",
    _delegation("researcher", _delegation("coder", "Write a function that adds two numbers")),
)


def demo_config() -> JSON:
    """The configuration of the demo: its ``openai`` template is the built-in model too."""
    offline = OFFLINE.template()
    return {
        "providerTemplates": {
            "offline": offline,
            "openai": {**offline, "name": "OpenAI (answered by the offline model here)"},
        },
        "sessions": {
            "default": {"description": "Talks to you, and hands work to the others"},
            "researcher": {"description": "Finds things out", "capabilities": ["research"]},
            "coder": {"description": "Writes programs", "capabilities": ["code"]},
        },
    }


@command("demo", "clawd demo", "clawd demo --keep")
@click.option("--keep", is_flag=True, help="Leave the home and its daemon there to look at.")
@pass_invocation
def demo(invocation: Invocation, keep: bool) -> int:
    """See sessions talk, delegate and create each other: offline, in a temporary home."""
    home = Path(tempfile.mkdtemp(prefix="clawd-demo-"))
    client = Client(home, invocation.timeout)
    out = invocation.out
    try:
        (home / "config.json").write_text(json.dumps(demo_config(), indent=2), encoding="utf-8")
        status = start(client)
        out.note(f"started a daemon for the demo (pid {status['pid']}, home {home})")
        steps = [
            play(client, out, title, text, invocation.timeout or STEP_SECONDS, invocation.plain)
            for title, text in (*EXAMPLES, WORKFLOW)
        ]
        made = _made(client)
        if out.as_json:
            ok = all(step["ok"] for step in steps)
            out.document({"schema": "clawd.demo/1", "ok": ok, "steps": steps, **made})
        else:
            _show(client, out, made, invocation.plain)
    finally:
        if keep:
            out.note(f"look around: clawd --home {home} chat; then: clawd --home {home} stop")
        else:
            stop(client, None, 15.0)
            shutil.rmtree(home, ignore_errors=True)
    return 0 if all(step["ok"] for step in steps) else 1


def play(
    client: Client, out: Output, title: str, text: str, limit: float, plain: bool = False
) -> JSON:
    """Say one thing to ``default`` and follow all that it leads to, up to ``limit`` seconds."""
    if not out.as_json:
        out.line("")
        out.line((title, "bold"))
    answer, problems = "", []
    turn = client.post("/api/sessions/default/prompt", {"text": text})
    for event in _until_quiet(client, turn, limit):
        if event.get("run_id") == turn["turn"] and event["event"] == "run_finished":
            answer = event["final_message"]
        if event["event"] in ("run_failed", "tool_call_error"):
            problems.append(str(event["error"].get("message")))
        if not out.as_json:
            _tell(out, event, plain)
    return {"title": title, "prompt": text, "ok": not problems, "answer": answer,
            "problems": problems}  # fmt: skip


def _until_quiet(client: Client, turn: JSON, limit: float) -> Iterator[JSON]:
    quiet = Quiet(turn["turn"])
    events = Events(client, after=int(turn["seq"]))
    with stopped_after(limit, events.close) as watch:
        for event in events:
            yield event
            if quiet.take(event):
                break
    events.close()
    if watch.over:
        raise TimedOut("timed_out", f"the demo's step did not end within {limit:g} s")


def _tell(out: Output, event: JSON, plain: bool) -> None:
    session = str(event.get("session", ""))
    for line in lines_of(event, _views.setdefault(session, View(session, plain=plain))):
        out.line((f"  {session:<10} ", "dim"), *line)
    if event["event"] == "run_finished":
        for row in clean(event["final_message"]).splitlines()[:3]:
            out.line((f"  {session:<10} ", "dim"), row[:160])


_views: dict[str, View] = {}


def _made(client: Client) -> JSON:
    """The mailboxes, tasks and workspaces that the demo has made."""
    sessions = client.get("/api/sessions")["items"]
    return {
        "messages": client.get("/api/messages", {"session": "*"})["items"],
        "tasks": client.get("/api/tasks")["items"],
        "workspaces": {
            item["id"]: sorted(path.name for path in Path(item["workspace"]).iterdir())
            for item in sessions
        },
    }


def _show(client: Client, out: Output, made: JSON, plain: bool) -> None:
    view = View("default", plain=plain)
    out.line("")
    out.line(("What it made", "bold"))
    out.line("mailboxes:")
    for message in made["messages"]:
        out.line("  ", *message_line(message, view))
    out.line("tasks:")
    for task in made["tasks"]:
        out.line("  ", *task_line(task, view))
    out.line("workspaces:")
    for session, names in made["workspaces"].items():
        out.line(f"  {session}: {', '.join(names)}")
    try:
        mailbox = Path(client.get("/api/sessions/researcher")["workspace"])
        lines = (mailbox / "session_messages.jsonl").read_text(encoding="utf-8").splitlines()
    except (ClawdError, OSError):
        return
    out.line("one line of researcher's session_messages.jsonl:")
    out.line("  " + lines[0])
