"""The slash commands: each a function from the desk and its argument to lines.

They run on a worker thread, so they may ask the daemon and wait. What changes the screen itself
(``/quit``, ``/switch``, ``/verbose`` …) is in `app.py`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from clawd.cli.chat.approving import answer, approve, deny
from clawd.cli.chat.desk import Desk, Handler, said
from clawd.cli.chat.lines import OPEN_STATES, Line, message_line, task_line
from clawd.cli.clean import clean, one_line, width
from clawd.cli.client import JSON
from clawd.cli.commands.memory import note_lines
from clawd.cli.commands.trace import head as trace_head
from clawd.cli.commands.usage import limit_line
from clawd.cli.nearest import naming_the_nearest, quoted
from clawd.cli.times import count, money
from clawd.cli.tree import rows as trace_rows
from clawd.cli.tree import told as trace_row
from clawd.errors import Invalid


def _two(argument: str, usage: str) -> tuple[str, str]:
    first, _, rest = argument.partition(" ")
    if not first or not rest.strip():
        raise Invalid("usage", f"usage: {usage}")
    return first.removeprefix("@"), rest.strip()


def sessions(desk: Desk, argument: str) -> list[Line]:
    """Every session with its state."""
    lines: list[Line] = []
    for item in desk.client.get("/api/sessions").get("items", []):
        state = f"{item.get('status')} · {one_line(str(item.get('model')))}"
        here = "* " if item["id"] == desk.session else "  "
        unread = f" · {item['unread']} unread" if item.get("unread") else ""
        tasks = f" · {item['openTasks']} tasks" if item.get("openTasks") else ""
        lines.append(
            (
                (here, "cyan"),
                (one_line(item["id"]), "bold"),
                (f" · {state}{unread}{tasks}", ""),
                (f" · {one_line(item.get('description') or '', 60)}", "dim"),
            )
        )
    return lines


def create(desk: Desk, argument: str) -> list[Line]:
    """Another session, from the template named or the present session's."""
    words = argument.split()
    if not 1 <= len(words) <= 2:
        raise Invalid("usage", "usage: /create ID [TEMPLATE]")
    template = words[1] if len(words) == 2 else desk.client.get(desk.path).get("template")
    body = {"session_id": words[0], "provider_template": template, "name": words[0]}
    made = desk.client.post("/api/sessions", body)
    return [said(f"created {made['id']}; /switch {made['id']} goes there")]


def inbox(desk: Desk, argument: str) -> list[Line]:
    """The operator's mail: what is unread, or ``all``; shown is read."""
    unread = None if argument.strip() == "all" else 1
    items: list[JSON] = desk.client.get("/api/messages", {"unread": unread, "limit": 50})["items"]
    fresh = [item["id"] for item in items if not item.get("read")]
    if fresh:
        desk.client.post("/api/messages/read", {"ids": fresh})
    lines = []
    for item in items:
        lines.append(message_line(item, desk.view))
        rows = clean(item["content"]).splitlines()
        if len(rows) > 1 or len(item["content"]) > 60:
            lines += [said(f"    {row}") for row in rows]
    return lines or [said("no unread messages; /inbox all shows every one")]


def send(desk: Desk, argument: str) -> list[Line]:
    """A message from the operator."""
    to, text = _two(argument, "/send SESSION TEXT")
    with naming_the_nearest(desk.client, "/api/sessions", to):
        # The stored message comes back as an event, and is shown then.
        desk.client.post("/api/messages", {"to": to, "content": text})
    return []


def thread(desk: Desk, argument: str) -> list[Line]:
    """The messages of one thread, oldest first."""
    if not argument.strip():
        raise Invalid("usage", "usage: /thread ID")
    found = desk.client.get(
        "/api/messages", {"session": "*", "thread": argument.strip(), "limit": 100}
    )
    return _mail(desk, found["items"]) or [said("no message has that thread")]


def search(desk: Desk, argument: str) -> list[Line]:
    """Messages that contain the words, wherever they are."""
    if not argument.strip():
        raise Invalid("usage", "usage: /search WORDS")
    found = desk.client.get(
        "/api/messages", {"session": "*", "query": argument.strip(), "limit": 50}
    )
    return _mail(desk, found["items"]) or [said("no message contains that")]


def _mail(desk: Desk, items: list[JSON]) -> list[Line]:
    return [message_line(item, desk.view) for item in items]


def tasks(desk: Desk, argument: str) -> list[Line]:
    """The present session's open tasks, or ``all`` tasks."""
    every = argument.strip() == "all"
    whose = None if every else desk.session
    items = desk.client.get("/api/tasks", {"session": whose, "limit": 100})["items"]
    shown = [item for item in items if every or item["status"] in OPEN_STATES]
    lines = [task_line(item, desk.view) for item in shown]
    return lines or [said("no open tasks; /tasks all shows every one")]


def delegate(desk: Desk, argument: str) -> list[Line]:
    """A task from the operator."""
    to, text = _two(argument, "/delegate SESSION TEXT")
    with naming_the_nearest(desk.client, "/api/sessions", to):
        desk.client.post("/api/tasks", {"toSession": to, "task": text})
    return []


def cancel(desk: Desk, argument: str) -> list[Line]:
    """Cancel a task."""
    task = argument.strip()
    if not task:
        raise Invalid("usage", "usage: /cancel TASK (Esc stops the turn)")
    with naming_the_nearest(desk.client, "/api/tasks", task):
        desk.client.post(f"/api/tasks/{quoted(task)}/cancel", {})
    return []


def model(desk: Desk, argument: str) -> list[Line]:
    """Which model answers, or another from now on."""
    if argument.strip():
        changed = desk.client.patch(desk.path, {"model": argument.strip()})
        return [said(f"{desk.session} answers with {changed.get('model')} from the next turn on")]
    now = desk.client.get(desk.path)
    lines = [said(f"{now.get('model')} of template {now.get('template')}")]
    offered = [
        ", ".join(provider.get("models", []))
        for provider in desk.client.get("/api/providers").get("items", [])
        if provider["id"] == now.get("template")
    ]
    return lines + [said(f"offered: {names}", "dim") for names in offered]


def tools(desk: Desk, argument: str) -> list[Line]:
    """The session's tools with the first line of what they do."""
    items = desk.client.get("/api/tools", {"session": desk.session})["items"]
    return [
        (
            (one_line(item["name"]), "bold"),
            (f"  {one_line(item.get('description', '').split(chr(10))[0], 90)}", "dim"),
        )
        for item in items
    ]


def context(desk: Desk, argument: str) -> list[Line]:
    """How full the model's window is, by part of the prompt."""
    found = desk.client.get(f"{desk.path}/context")
    parts = [*found["parts"], {"name": "free", "tokens": found["free"]}]
    columns = shutil.get_terminal_size().columns
    return [context_row(part, found, desk.view.plain, columns) for part in parts]


def context_row(part: JSON, found: JSON, plain: bool, columns: int | None = None) -> Line:
    """One part of the prompt as a bar over the window."""
    share = part["tokens"] / found["window"] if found.get("window") else 0.0
    row = f"{part['name']:<10} {count(part['tokens']):>6} {100 * share:5.1f}% "
    full = 30 if columns is None else max(0, min(30, columns - width(row)))
    bar = "" if plain else "█" * round(share * full) + "▏" * (0 < share * full < 0.5)
    return ((row, ""), (bar, "cyan"))


def cost(desk: Desk, argument: str) -> list[Line]:
    """What this session used."""
    used = desk.client.get(desk.path).get("usage") or {}
    price = money(used.get("cost")) or "cost unknown or none"
    about = "~" if used.get("estimated") else ""
    tokens = f"{count(used.get('inputTokens', 0))} in, {count(used.get('outputTokens', 0))} out"
    lines = [said(f"{about}{tokens} · {about}{price}")]
    limits = (desk.client.get("/api/status").get("usage") or {}).get("limits") or []
    return lines + [tuple(limit_line(limit)) for limit in limits]


def memory(desk: Desk, argument: str) -> list[Line]:
    """What the session remembers: its MEMORY.md, or the notes that answer some words."""
    path = f"{desk.path}/memory"
    if not argument.strip():
        found = desk.client.get(path, {"limit": 1})
        some = bool(found["items"])
        told = "/memory WORDS searches the notes; clawd memory list shows them"
        return [*_file(desk, "MEMORY"), *([said(told, "dim")] if some else [])]
    found = desk.client.get(path, {"query": argument.strip(), "limit": 8})
    lines = [tuple(line) for item in found["items"] for line in note_lines(item)]
    return lines or [said("no note answers that; /memory alone shows MEMORY.md")]


def identity(desk: Desk, argument: str) -> list[Line]:
    """One of the session's identity files."""
    return _file(desk, (argument.strip() or "IDENTITY").upper().removesuffix(".MD"))


def _file(desk: Desk, name: str) -> list[Line]:
    if name not in {"IDENTITY", "SOUL", "USER", "MEMORY"}:
        raise Invalid("usage", "usage: /identity [IDENTITY|SOUL|USER|MEMORY]")
    path = Path(desk.client.home, desk.client.get(desk.path)["workspace"], f"{name}.md")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return [said(f"there is no {path}", "dim")]
    return [said(str(path), "dim"), *(said(row) for row in clean(text).splitlines())]


def compact(desk: Desk, argument: str) -> list[Line]:
    """Summarise the older history now."""
    found = desk.client.post(f"{desk.path}/compact", timeout=600.0)
    return [said(f"history: {count(found['before'])} tokens before, {count(found['after'])} now")]


def pause(desk: Desk, argument: str) -> list[Line]:
    """Stop the present session, or ``all``, until /resume."""
    every = argument.strip() == "all"
    # What comes of it is an event, and is shown then.
    desk.client.post("/api/pause", {} if every else {"session": desk.session})
    return []


def resume(desk: Desk, argument: str) -> list[Line]:
    """Let the present session go on, or ``all``."""
    every = argument.strip() == "all" or desk.client.get("/api/status")["paused"]["all"]
    done = desk.client.post("/api/resume", {} if every else {"session": desk.session})
    return [] if done["sessions"] else [said(f"{desk.session} is not paused")]


def trace(desk: Desk, argument: str) -> list[Line]:
    """What a message, a task or a turn belongs to; without one, the present turn or the latest."""
    name = argument.strip()
    if not name:
        found = desk.client.get("/api/traces", {"limit": 200}).get("items", [])
        own = [item["id"] for item in found if item.get("session") == desk.session]
        if not own:
            return [said("no traces yet")]
        name = own[-1]
    found = desk.client.get(f"/api/traces/{quoted(name)}", {"limit": 200})
    lines: list[Line] = [tuple(trace_head(found))]
    lines += [tuple(trace_row(row, plain=desk.view.plain)) for row in trace_rows(found["steps"])]
    if found.get("omitted"):
        lines.append(said(f"and {found['omitted']} more: clawd trace {name}", "dim"))
    return lines


def export(desk: Desk, argument: str) -> list[Line]:
    """The present conversation as a Markdown file, readable by its owner alone."""
    path = Path(argument.strip() or f"{desk.session}.md").expanduser()
    items = desk.client.get(f"{desk.path}/transcript")["items"]
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise Invalid("not_written", f"{path}: {problem.strerror}", hint="name another") from None
    with open(handle, "w", encoding="utf-8") as file:
        for item in items:
            message = item["message"]
            if message.get("content") and message["role"] in ("user", "assistant"):
                file.write(f"**{message['role']}** ({item['time']})\n\n{message['content']}\n\n")
    return [said(f"wrote {path.absolute()}")]


COMMANDS: dict[str, tuple[str, str, Handler | None]] = {
    "help": ("", "this list", None),
    "quit": ("", "leave; the daemon goes on", None),
    "new": ("", "begin another conversation", None),
    "stop": ("", "stop the turn", None),
    "steer": ("TEXT", "say something to the running turn", None),
    "interrupt": ("TEXT", "stop the turn and say this instead", None),
    "sessions": ("", "every session with its state", sessions),
    "switch": ("SESSION", "talk to another session", None),
    "create": ("ID [TEMPLATE]", "make a session", create),
    "inbox": ("[all]", "your own mail", inbox),
    "send": ("SESSION TEXT", "send a message; also @SESSION TEXT", send),
    "thread": ("ID", "the messages of a thread", thread),
    "search": ("WORDS", "messages that contain words", search),
    "tasks": ("[all]", "open tasks of this session", tasks),
    "delegate": ("SESSION TEXT", "give a task", delegate),
    "cancel": ("TASK", "cancel a task", cancel),
    "approve": ("[ID] [always]", "say yes to what waits for you", approve),
    "deny": ("[ID] [WHY]", "say no to it", deny),
    "answer": ("[ID] TEXT", "answer a question", answer),
    "model": ("[NAME]", "show or change the model", model),
    "tools": ("", "the session's tools", tools),
    "context": ("", "how full the window is", context),
    "cost": ("", "what this session used", cost),
    "memory": ("[WORDS]", "the session's MEMORY.md, or its notes with words", memory),
    "identity": ("[FILE]", "IDENTITY, SOUL, USER or MEMORY", identity),
    "compact": ("", "summarise older history now", compact),
    "pause": ("[all]", "stop this session, or all, until /resume", pause),
    "resume": ("[all]", "go on where /pause stopped", resume),
    "trace": ("[ID]", "what a cause led to, across sessions", trace),
    "verbose": ("", "tool detail on or off", None),
    "export": ("[FILE]", "write the conversation as Markdown", export),
}
"""A command → its arguments, one line of help, and its handler (None: the screen's own)."""


def help_lines(columns: int) -> list[Line]:
    """Every command and key; where it is narrow, what each does stands below it."""
    rows = [(f"/{name} {arguments}", text) for name, (arguments, text, _) in COMMANDS.items()]
    rows += [("", ""), *KEYS]
    room = max(len(name) for name, _ in rows) + 2
    lines: list[Line] = []
    for name, text in rows:
        if columns >= room + _HELP_TEXT:
            lines.append(((name.ljust(room), "bold"), (text, "")))
        else:
            lines += [((name, "bold"),), *([((f"  {text}", ""),)] if text else [])]
    return lines


_HELP_TEXT = 42
"""Columns for what a command does, beside its name."""


KEYS = (
    ("Enter", "send; while a turn runs: queue"),
    ("Ctrl+J, Alt+Enter, \\ then Enter", "new line"),
    ("Esc", "stop the turn, keep what came"),
    ("Ctrl+C", "stop the turn; else clear; twice: leave"),
    ("Ctrl+D", "leave; the daemon goes on"),
    ("Ctrl+P", "pick a session"),
    ("Ctrl+O", "tool detail on or off"),
    ("Ctrl+G", "edit in $VISUAL or $EDITOR"),
    ("Up, Ctrl+R", "history, search in it"),
    ("Tab", "complete commands, @sessions, tasks"),
    ("Alt+Up", "take back the last queued line"),
)
