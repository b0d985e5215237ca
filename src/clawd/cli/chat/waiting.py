"""What waits for the human, as lines: the call or the question, its cause, and what to type."""

from __future__ import annotations

import json
import textwrap

from clawd.cli.chat.lines import Line, View
from clawd.cli.clean import clean, one_line
from clawd.cli.output import JSON

_ROWS, _COLUMNS = 24, 72
_WORDS = {
    "allowed": ("allowed", "green"),
    "answered": ("answered", "green"),
    "denied": ("denied", "red"),
    "expired": ("denied, for its time is over", "yellow"),
    "withdrawn": ("withdrawn: its turn was stopped", "yellow"),
}


def approval_lines(approval: JSON, view: View) -> list[Line]:
    """Something that waits, whole: nobody says yes to what was cut out of sight."""
    who, sign = one_line(str(approval["session"])), view.mark("?")
    if approval["kind"] == "question":
        lines: list[Line] = [((f"{sign} ", "yellow"), (f"{who} asks:", "bold"))]
        lines += [((f"  {row}", ""),) for row in clean(str(approval["text"])).splitlines()]
        options = [one_line(str(option), 200) for option in approval.get("options", ())]
        lines += [((f"  {number}. {option}", ""),) for number, option in enumerate(options, 1)]
        how = "/answer TEXT · /deny"
    else:
        tool = one_line(str(approval["tool"]), 64)
        lines = [((f"{sign} ", "yellow"), (f"{who} wants to call {tool}", "bold"))]
        rows = argument_rows(str(approval.get("arguments", "")))
        lines += [((f"  {row}", ""),) for row in rows[:_ROWS]]
        if len(rows) > _ROWS:
            more = f"{len(rows) - _ROWS} more lines: clawd approvals show {approval['id']}"
            lines.append(((f"  ({more})", "yellow"),))
        lines.append(((f"  because {one_line(str(approval['text']), 200)}", "dim"),))
        how = "/approve" + (" · /approve always" if approval.get("rule") else "") + " · /deny [WHY]"
    lines.append(((f"  led there: {one_line(str(approval.get('cause', '')), 200)}", "dim"),))
    lines.append(((f"  {how}", "cyan"), (f"   {one_line(str(approval['id']))}", "dim")))
    return lines


def argument_rows(arguments: str) -> list[str]:
    """The arguments of a call, one below the other, wrapped and not cut."""
    try:
        given = json.loads(arguments)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return _wrapped(arguments)
    rows: list[str] = []
    for name, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = _wrapped(text) or [""]
        rows += [f"{one_line(name, 40)}: {first}", *(f"    {row}" for row in rest)]
    return rows


def _wrapped(text: str) -> list[str]:
    return [
        part
        for row in clean(text).splitlines()
        for part in textwrap.wrap(row, _COLUMNS, drop_whitespace=False) or [""]
    ]


def waiting_lines(event: JSON, view: View) -> list[Line]:
    """The lines of an event about something that waits, in whatever session."""
    name = event.get("event")
    if name == "approval_requested":
        return approval_lines(event.get("approval") or {}, view)
    return _settled(event, view) if name == "approval_settled" else []


def _settled(event: JSON, view: View) -> list[Line]:
    approval = event.get("approval") or {}
    word, style = _WORDS.get(str(approval.get("state")), (str(approval.get("state")), ""))
    what = "question" if approval.get("kind") == "question" else str(approval.get("tool"))
    by = f" by {one_line(str(approval['by']))}" if approval.get("by") not in (None, "clawd") else ""
    reason = f": {one_line(str(approval['answer']), 100)}" if approval.get("answer") else ""
    whose = one_line(str(approval.get("session")))
    return [
        (
            (f"{view.mark('?')} ", style),
            (f"{whose} {view.mark('·')} {one_line(what, 64)} {word}{by}{reason}", style),
        )
    ]
