"""``clawd trace``: what one cause led to, across sessions."""

from __future__ import annotations

import click

from clawd.cli.client import JSON
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import quoted
from clawd.cli.output import Output, Styled, fitted
from clawd.cli.times import about, clock, count, spent
from clawd.cli.tree import rows, told

_AT = "/api/traces"
_WIDE = 110
_SHED = frozenset({"mail", "tasks", "tokens"})
"""What a narrow terminal has no room for, beside the cause."""


@command("trace", "clawd trace", "clawd trace task-01k...")
@click.argument("id", required=False)
@click.option("--limit", type=click.IntRange(1, 100_000), help="At most so many lines.")
@pass_invocation
def trace(invocation: Invocation, id: str | None, limit: int | None) -> None:
    """Draw a trace as a tree of turns, messages, tasks, sessions and refusals, with their times.

    ID is that of a trace, or of any message, task or turn in it, or the beginning of one. Without
    it the traces that moved last are listed.
    """
    if id is None:
        latest(invocation, limit or 20)
        return
    found = invocation.client.get(f"{_AT}/{quoted(id, 'trace')}", {"limit": limit or 5_000})
    if invocation.out.as_json:
        invocation.out.document(found)
    else:
        draw(invocation.out, found)


def latest(invocation: Invocation, limit: int) -> None:
    """The traces that moved last."""
    out = invocation.out
    found = invocation.client.get(_AT, {"limit": limit})
    if out.as_json:
        out.document(found)
        return
    if not found["items"]:
        out.note("no traces yet")
        return
    titles = ("id", "last", "turns", "mail", "tasks", "tokens", "cost", "stopped", "cause")
    found_rows = [_row(item) for item in found["items"]]
    narrow = out.columns is not None and out.columns < _WIDE
    shown = [
        column
        for column, title in enumerate(titles)
        if any(row[column] != "" for row in found_rows) and not (narrow and title in _SHED)
    ]
    out.table([titles[c] for c in shown], [[row[c] for c in shown] for row in found_rows])


def _row(item: JSON) -> tuple[object, ...]:
    usage = item.get("usage") or {}
    tokens = usage.get("inputTokens", 0) + usage.get("outputTokens", 0)
    return (
        item["id"],
        "live" if item.get("live") else clock(item.get("lastActivity")),
        item["turns"],
        item["messages"] or "",
        item["tasks"] or "",
        about(usage) + count(tokens) if tokens else "",
        spent(usage),
        item["refusals"] or "",
        f"{item['session']}: {item['cause']}" if item.get("session") else item.get("cause"),
    )


def head(found: JSON) -> list[Styled]:
    """The line above the tree: what the trace came to."""
    usage = found.get("usage") or {}
    parts = [
        f"{number} {word if number != 1 else word.removesuffix('s')}"
        for key, word in (
            ("turns", "turns"),
            ("messages", "messages"),
            ("tasks", "tasks"),
            ("sessions", "sessions made"),
        )
        if (number := found.get(key, 0))
    ]
    if usage.get("inputTokens"):
        tokens = f"{count(usage['inputTokens'])} in {count(usage.get('outputTokens', 0))} out"
        parts.append(about(usage) + tokens)
    if cost := spent(usage):
        parts.append(cost)
    refusals = found.get("refusals", 0)
    return [
        (str(found["id"]), "bold"),
        (" live" if found.get("live") else "", "yellow"),
        (f" · {clock(found.get('startedAt'))} · {' · '.join(parts)}", ""),
        (f" · {refusals} stopped by a guard" if refusals else "", "red"),
    ]


def draw(out: Output, found: JSON) -> None:
    """The tree, each line cut to the terminal's width."""
    out.line(*head(found))
    for row in rows(found["steps"]):
        parts = told(row, plain=out.plain)
        out.line(*(parts if out.columns is None else fitted(parts, out.columns)))
    if found.get("omitted"):
        out.line((f"  and {found['omitted']} more: --limit N", "dim"))
