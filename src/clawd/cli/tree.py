"""The steps of a trace as a tree: a chain goes straight down, only what parts is indented."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from clawd.cli.clean import one_line
from clawd.cli.output import JSON, Styled
from clawd.cli.times import about, count, span, spent

_DEEPEST = 8
_MARKS = {"turn": "●", "message": "✉", "task": "⚑", "session": "+", "refusal": "✗"}
_GOOD = frozenset({"finished", "completed", "read", "answered"})
_BAD = frozenset({"failed", "cancelled", "dead", "expired", "held", "refused"})


@dataclass(frozen=True)
class Row:
    """One step with its place in the tree: how deep it stands, and at which moment (seconds)."""

    depth: int
    after: float
    step: JSON


def rows(steps: list[JSON]) -> Iterator[Row]:
    """The steps in the order of the tree; a parent that is not among them makes no difference."""
    known = {step["id"]: step for step in steps}
    children: dict[str, list[JSON]] = {}
    for step in steps:
        parent = step.get("parent") or ""
        children.setdefault(parent if parent in known else "", []).append(step)
    began = _moment(steps[0]["time"]) if steps else 0.0
    seen: set[str] = set()
    waiting = [(0, step) for step in reversed(children.get("", []))]
    while waiting:
        depth, step = waiting.pop()
        if step["id"] in seen:
            continue
        seen.add(step["id"])
        yield Row(depth, max(0.0, _moment(step["time"]) - began), step)
        below = children.get(step["id"], [])
        deeper = depth + 1 if len(below) > 1 else depth
        waiting += [(deeper, child) for child in reversed(below)]


def told(row: Row, *, plain: bool) -> list[Styled]:
    """One step in a line; the text in it is styled "quote", to be cut where there is no room."""
    step, kind = row.step, str(row.step["kind"])
    mark = kind if plain else _MARKS.get(kind, "·")
    arrow = "to" if plain else "→"
    indent = "" if plain else "  " * min(row.depth, _DEEPEST) + ("… " * (row.depth > _DEEPEST))
    parts: list[Styled] = [(f"{span(row.after):>7}  ", "dim"), (indent, "dim")]
    style = "red" if kind == "refusal" else "cyan"
    parts.append((f"{mark} ", style))
    text = one_line(str(step.get("text") or ""))
    match kind:
        case "turn":
            whose = "you" if step.get("trigger") == "user" else str(step.get("trigger"))
            parts.append((one_line(str(step.get("session"))), "bold"))
            parts.append((f" {whose}" if not text else f" {whose}: ", "dim"))
        case "message" | "task":
            route = f"{one_line(str(step.get('from')))} {arrow} {one_line(str(step.get('to')))}"
            parts.append((route, ""))
            if step.get("type") not in (None, "message"):
                parts.append((f" {str(step['type']).replace('_', ' ')}", "dim"))
            parts.append((" ", ""))
        case "session":
            parts.append((one_line(str(step.get("id"))), "bold"))
            parts.append((f" made by {one_line(str(step.get('from')))}", "dim"))
        case _:
            often = f" ×{step['count']}" if step.get("count", 1) > 1 else ""
            parts.append((f"{step.get('code')}{often} {step.get('session')}: ", "red"))
    if text:
        parts.append((f'"{text}"' if kind != "refusal" else text, "quote"))
    return parts + _end(step)


def _end(step: JSON) -> list[Styled]:
    state = str(step.get("state") or "")
    usage = step.get("usage") or {}
    error = step.get("error") or {}
    facts = []
    if step.get("kind") in ("turn", "task") and "seconds" in step:
        facts.append(span(step["seconds"]))
    if usage:
        tokens = (count(usage.get(key, 0)) for key in ("inputTokens", "outputTokens"))
        facts.append(about(usage) + "/".join(tokens))
    if cost := spent(usage):
        facts.append(cost)
    reason = error.get("error") or step.get("reason") or ""
    style = "green" if state in _GOOD else "red" if state in _BAD else "yellow"
    parts: list[Styled] = [(f" {state}", style)] if state else []
    if reason and state in _BAD:
        parts.append((f" ({one_line(str(reason), 48)})", "red"))
    if facts:
        parts.append((f" {' '.join(facts)}", "dim"))
    return parts


def _moment(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
