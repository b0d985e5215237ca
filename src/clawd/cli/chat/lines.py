"""Events and records as lines for a human: pure functions, nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clawd.cli.clean import clean, one_line
from clawd.cli.output import JSON, Styled

Line = tuple[Styled, ...]

_SECRET = re.compile(r"key|token|secret|passw|authorization|credential", re.IGNORECASE)
_FENCED = re.compile(r"<<<(\S+)\n(.*?)\n?\1>>>", re.DOTALL)
_HEAD = re.compile(r'\[(?:message|task|result of task) \S+ from (?:session "([^"]*)"|your human)')
"""How the daemon begins what it tells a session of another's words."""
_TARGETS = ("target_session", "targetSession", "session_id", "sessionId", "to")
_QUOTED = 60
_WORDS = {
    "⚙": "tool", "✉": "message", "→": "to", "⚑": "task", "✔": "done", "✗": "failed",
    "■": "stopped", "▸": "turn", ">": "you:", "!": "notice", "+": "session", "·": "-", "…": ":",
    "?": "waits for you:",
}  # fmt: skip
"""What stands for each mark with ``--plain``."""

OPEN_STATES = frozenset({"pending", "processing", "input_required"})


@dataclass
class View:
    """What the lines depend on: whose chat this is, and which tool calls are under way."""

    session: str
    detail: bool = False
    plain: bool = False
    calls: dict[str, JSON] = field(default_factory=dict)

    def mark(self, sign: str) -> str:
        """A mark, or with ``--plain`` the word for it."""
        return _WORDS[sign] if self.plain else sign


def lines_of(event: JSON, view: View) -> list[Line]:
    """The lines that an event deserves; text of the model is not among them (`markdown.py`)."""
    name = event.get("event", "")
    if name in _ANYWHERE:
        return _ANYWHERE[name](event, view)
    if event.get("session") == view.session and name in _HERE:
        return _HERE[name](event, view)
    return []


def _run_started(event: JSON, view: View) -> list[Line]:
    text, trigger = str(event.get("input_message", "")), event.get("trigger", "")
    if trigger == "user" and event.get("resumed"):
        return [((f"{view.mark('▸')} ", "cyan"), (f"goes on: {one_line(text, 100)}", "cyan"))]
    if trigger == "user":
        return [((f"{view.mark('>')} ", "cyan"), (clean(text), "bold"))]
    source = one_line(str(event.get("source") or ""), 64)
    again = f", attempt {event['attempt']}" if event.get("attempt", 1) > 1 else ""
    whom = f" from {source}" if source else ""
    return [
        (
            (f"{view.mark('▸')} ", "cyan"),
            (f"{trigger}{whom}{again}: ", "cyan"),
            (one_line(_unfenced(text), 400 if view.detail else 100), "quote dim"),
        )
    ]


def spoken_line(item: JSON, view: View) -> Line:
    """One line of a transcript, in short: whose it is, as the same line was shown live."""
    message, trigger = item["message"], str(item.get("trigger") or "user")
    text = str(message.get("content") or "")
    if message["role"] != "user":
        return ((f"  {one_line(text, 200)}", "dim"),)
    head = _HEAD.match(text)
    # Who steers a turn of another's has no head: that is the human.
    if trigger == "user" or (trigger in ("message", "task") and head is None):
        return ((f"{view.mark('>')} {one_line(text, 200)}", "dim"),)
    whom = f" from {one_line(head[1] or OPERATOR, 64)}" if head else ""
    said = one_line(_unfenced(text), 200)
    return ((f"{view.mark('▸')} {trigger}{whom}: ", "dim"), (said, "quote dim"))


def _unfenced(text: str) -> str:
    """What another session said, without the frame that the model is shown around it."""
    fenced = _FENCED.search(text)
    return fenced[2] if fenced else text


def _run_failed(event: JSON, view: View) -> list[Line]:
    error = event.get("error") or {}
    code = error.get("code") or error.get("error")
    if code == "cancelled":
        return [((f"{view.mark('■')} ", "yellow"), ("stopped", "yellow"))]
    lines: list[Line] = [
        ((f"{view.mark('✗')} ", "red"), (clean(str(error.get("message", code))), "red"))
    ]
    if error.get("hint"):
        lines.append((("  " + clean(str(error["hint"])), "dim"),))
    return lines


def _run_suspended(event: JSON, view: View) -> list[Line]:
    if event.get("reason") == "approval":
        return []  # what it waits for was shown
    text = "the turn stands still; it goes on when the session does"
    return [((f"{view.mark('■')} ", "yellow"), (text, "yellow"))]


def _tool_started(event: JSON, view: View) -> list[Line]:
    view.calls[event["tool_call_id"]] = event
    return []


def _tool_progress(event: JSON, view: View) -> list[Line]:
    started = view.calls.get(event["tool_call_id"], {})
    row = f"{view.mark('⚙')} {started.get('tool_name', 'tool')}: {one_line(event['message'], 120)}"
    return [((row, "dim"),)] if view.detail else []


def _tool_ended(event: JSON, view: View) -> list[Line]:
    ok = event.get("success", True)
    end: Styled = ("ok" if ok else "failed", "green" if ok else "red")
    return _tool_row(event, view, end, str(event.get("result", "")))


def _tool_error(event: JSON, view: View) -> list[Line]:
    error = event.get("error") or {}
    message = one_line(str(error.get("message") or error.get("error") or "failed"), 200)
    return _tool_row(event, view, (f"failed: {message}", "red"), str(error.get("hint") or ""))


def _tool_row(event: JSON, view: View, end: Styled, result: str) -> list[Line]:
    started = view.calls.pop(event["tool_call_id"], {})
    name = one_line(str(event.get("tool_name") or started.get("tool_name") or "tool"), 64)
    arguments = started.get("arguments")
    target, told = arguments_told(arguments, view)
    between = f" {view.mark('…')} " if not view.plain else ": "
    took = f" {event['duration_ms']:.0f} ms" if "duration_ms" in event else ""
    lines: list[Line] = [
        (
            (f"{view.mark('⚙')} ", "cyan"),
            (name, "bold"),
            (f" {target}" if target else "", ""),
            (f" {told}" if told else "", "quote"),
            (between, "dim"),
            end,
            (took, "dim"),
        )
    ]
    if view.detail:
        lines += tool_detail(arguments, result)
    return lines


def tool_detail(arguments: Any, result: str, most: int = 20) -> list[Line]:
    """The arguments one a line and the first lines of the result."""
    lines: list[Line] = []
    if isinstance(arguments, Mapping):
        for key, value in arguments.items():
            lines.append(((f"    {one_line(str(key))} = {_shown(key, value, 300)}", "dim"),))
    rows = clean(result).splitlines()
    lines += [((f"    {row}", "dim"),) for row in rows[:most]]
    if len(rows) > most:
        lines.append(((f"    ({len(rows) - most} more lines)", "dim"),))
    return lines


def arguments_told(arguments: Any, view: View) -> tuple[str, str]:
    """A tool call's arguments in a few words: whom it is for, and the first text in quotes."""
    if not isinstance(arguments, Mapping):
        return "", one_line(str(arguments), _QUOTED) if arguments else ""
    told: list[str] = []
    quoted = False
    key_of_target = next((key for key in _TARGETS if key in arguments), None)
    target = ""
    if key_of_target is not None:
        shown = _shown(key_of_target, arguments[key_of_target], 64).strip('"')
        target = f"{view.mark('→')} {shown}"
    for key, value in arguments.items():
        if key == key_of_target:
            continue
        if isinstance(value, str) and not quoted and not _SECRET.search(str(key)):
            told.append(_shown(key, value, _QUOTED))
            quoted = True
        elif len(told) < 3:
            told.append(f"{one_line(str(key), 24)}={_shown(key, value, 30)}")
    return target, " ".join(told)


def _shown(key: object, value: object, limit: int) -> str:
    if _SECRET.search(str(key)) and not isinstance(value, bool | int | None):
        return "***"
    if isinstance(value, str):
        return f'"{one_line(value, limit)}"'
    return one_line(str(value), limit)


def message_line(message: JSON, view: View) -> Line:
    """One line for a message between sessions: who to whom, the thread, how it begins."""
    where = message.get("threadId")
    dot = f" {view.mark('·')} "
    unread = message.get("state")
    state = f"{dot}{unread}" if unread not in (None, "stored") else ""
    reason = f" ({one_line(str(message['reason']), 80)})" if message.get("reason") else ""
    mine = view.session in (message.get("from"), message.get("to")) or message.get("to") == OPERATOR
    return (
        (f"{view.mark('✉')} ", "cyan" if mine else "dim"),
        (
            f"{one_line(str(message.get('from')))} {view.mark('→')} "
            f"{one_line(str(message.get('to')))}",
            "bold" if mine else "dim",
        ),
        (f"{dot}{one_line(str(where), 40)}" if where else "", "dim"),
        (state + reason, "yellow"),
        (
            f'{dot}"{one_line(str(message.get("content", "")), _QUOTED)}"',
            "quote" if mine else "quote dim",
        ),
    )


OPERATOR = "operator"
_UNDELIVERABLE = frozenset({"held", "expired", "refused", "dead"})


def _message(event: JSON, view: View) -> list[Line]:
    message = event.get("message") or {}
    if message.get("state", "stored") not in {"stored"} | _UNDELIVERABLE or message.get("read"):
        return []
    return [message_line(message, view)]


def task_line(task: JSON, view: View) -> Line:
    """One line for a task: its state, who gave it to whom, and how it or its result begins."""
    status = str(task.get("status"))
    sign, style = {"completed": ("✔", "green"), "failed": ("✗", "red")}.get(status, ("⚑", "cyan"))
    text = str(task.get("result") or task.get("error") or task.get("reason") or task.get("task"))
    dot = f" {view.mark('·')} "
    return (
        (f"{view.mark(sign)} ", style),
        (one_line(str(task.get("id"))), "bold"),
        (
            f"{dot}{one_line(str(task.get('fromSession')))} {view.mark('→')} "
            f"{one_line(str(task.get('toSession')))}",
            "",
        ),
        (f"{dot}{status}", style),
        (f'{dot}"{one_line(text, _QUOTED)}"', "quote"),
    )


def _task(event: JSON, view: View) -> list[Line]:
    task = event.get("task") or {}
    if task.get("status") == "processing" and not view.detail:
        return []
    return [task_line(task, view)]


def _created(event: JSON, view: View) -> list[Line]:
    by = f", created by {one_line(event['created_by'])}" if event.get("created_by") else ""
    return [((f"{view.mark('+')} ", "cyan"), (f"{one_line(event['session'])} is there{by}", ""))]


def _changed(event: JSON, view: View) -> list[Line]:
    text = f"{one_line(event.get('session', ''))}: {one_line(str(event.get('change')), 200)}"
    return [((f"{view.mark('+')} ", "cyan"), (text, ""))]


def _removed(event: JSON, view: View) -> list[Line]:
    text = f"{one_line(event['session'])} is gone; its workspace stays"
    return [((f"{view.mark('+')} ", "yellow"), (text, ""))]


def _notice(event: JSON, view: View) -> list[Line]:
    style = {"warning": "yellow", "error": "red"}.get(str(event.get("level")), "blue")
    whose = event.get("session") or ""
    place = f"{one_line(whose)}: " if whose and whose != view.session else ""
    return [((f"{view.mark('!')} ", style), (place + clean(str(event.get("text", ""))), style))]


def _missed(event: JSON, view: View) -> list[Line]:
    return [((f"{view.mark('!')} {event.get('count')} events were missed", "yellow"),)]


_HERE = {
    "run_started": _run_started,
    "run_failed": _run_failed,
    "run_suspended": _run_suspended,
    "tool_call_start": _tool_started,
    "tool_call_progress": _tool_progress,
    "tool_call_end": _tool_ended,
    "tool_call_error": _tool_error,
}
_ANYWHERE = {
    "session_message": _message,
    "task_updated": _task,
    "session_created": _created,
    "session_changed": _changed,
    "session_removed": _removed,
    "notice": _notice,
    "missed": _missed,
}
