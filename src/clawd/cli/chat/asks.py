"""What the screen itself asks of the daemon; like the slash commands, on worker threads."""

from __future__ import annotations

from clawd.cli.chat.desk import Desk, said
from clawd.cli.chat.lines import Line, spoken_line
from clawd.cli.chat.waiting import approval_lines
from clawd.cli.output import JSON
from clawd.errors import ClawdError


def greeting(desk: Desk, model: str) -> list[Line]:
    """Who is there, and where the conversation stands: its last two lines in short."""
    offline = " (built in, follows plain instructions)" if model == "offline" else ""
    lines: list[Line] = [
        ((desk.session, "bold"), (f" · {model}{offline} · /help, Ctrl+D leaves", "dim"))
    ]
    items = desk.client.get(f"{desk.path}/transcript", {"last": 20}).get("items", [])
    spoken = [
        item
        for item in items
        if item["message"].get("content") and item["message"]["role"] in ("user", "assistant")
    ]
    lines += [spoken_line(item, desk.view) for item in spoken[-2:]]
    turn = desk.client.get(desk.path).get("turn")
    if turn:
        lines.append(said(f"a turn is running (trigger: {turn.get('trigger')})", "dim"))
    for approval in desk.client.get("/api/approvals").get("items", []):
        lines += approval_lines(approval, desk.view)
    return lines


def reset(desk: Desk) -> list[Line]:
    """Begin another conversation."""
    desk.client.post(f"{desk.path}/reset")
    return [said("a new conversation; mail and tasks are untouched", "dim")]


def prompt(desk: Desk, text: str, mode: str) -> list[Line]:
    """Say something to the session; it is shown when its turn begins."""
    try:
        accepted = desk.client.post(f"{desk.path}/prompt", {"text": text, "mode": mode})
    except ClawdError as problem:
        problem.message = f"not sent: {problem.message}"
        raise
    if accepted.get("paused"):
        waits = f"{desk.session} is paused: your line waits until /resume"
        return [said(f"{desk.view.mark('!')} {waits}", "yellow")]
    return [said(f"{desk.view.mark('>')} {text}", "cyan")] if mode == "steer" else []


def cancel(desk: Desk) -> list[Line]:
    """Stop the running turn."""
    desk.client.post(f"{desk.path}/cancel", {})
    return []


def withdraw(desk: Desk, turn: str) -> str | None:
    """Take a queued turn back; its text, or None when it has begun by now."""
    text = desk.client.post(f"{desk.path}/cancel", {"turn": turn}).get("text")
    return str(text) if text is not None else None


def everything(desk: Desk) -> tuple[JSON, list[JSON], list[JSON], int]:
    """The session, all sessions, the tasks, the operator's unread mail: for line and Tab."""
    return (
        desk.client.get(desk.path),
        desk.client.get("/api/sessions").get("items", []),
        desk.client.get("/api/tasks", {"limit": 200}).get("items", []),
        int(desk.client.get("/api/status").get("unread") or 0),
    )
