"""``clawd explain A B``: what one session may do to another, and what says so."""

from __future__ import annotations

from collections.abc import Sequence

import click

from clawd.cli.clean import wrapped
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.nearest import naming_the_nearest, session_ids
from clawd.cli.output import in_rows
from clawd.errors import Invalid

NEAR = 0.8
"""From this part of a limit on it is worth a line."""


@command("explain", "clawd explain researcher coder", "clawd explain operator coder --json")
@click.argument("a", shell_complete=session_ids)
@click.argument("b", shell_complete=session_ids)
@pass_invocation
def explain(invocation: Invocation, a: str, b: str) -> None:
    """What session A may do to session B, and the rule that decides it.

    A or B may be operator, which is you.
    """
    sessions, out = "/api/sessions", invocation.out
    for name in (a, b):
        if not name:
            raise Invalid("empty_id", "the id is empty", hint="name two sessions")
    with naming_the_nearest(invocation.client, sessions, a, (sessions, a), (sessions, b)):
        found = invocation.client.get("/api/explain", {"from": a, "to": b})
    if out.as_json:
        out.document(found)
        return
    found_rights = [
        (each["right"], "yes" if each["allowed"] else "no", each["why"], _place(each))
        for each in found["rights"]
    ]
    titles = (f"{a} → {b}", "may", "because", "where")
    if out.plain or _fits(out.columns, titles, found_rights):
        out.table(titles, found_rights)
    else:
        out.line((titles[0].upper(), "dim"))
        for right, may, why, where in found_rights:
            first, *more = wrapped(why, (out.columns or 80) - 15)
            out.line(f"{right:<10}{may:<5}{first}")
            for text in more:
                out.line(f"{'':15}{text}")
            for text in wrapped(where, (out.columns or 80) - 15) if where else ():
                out.line((f"{'':15}{text}", "dim"))
    for limit in found["limits"]:
        if limit["value"] >= NEAR * limit["of"]:
            text = f"{limit['limit']} of {limit['session']}: {limit['value']} of {limit['of']}"
            for row in in_rows([(text, "yellow")], out.columns or 200):
                out.line(*row)
    other = (f"the other way: clawd explain {b} {a}", "dim")
    for row in in_rows([other], out.columns or 200):
        out.line(*row)


def _fits(columns: int | None, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether no cell would be cut: each of them is what the question was about."""
    rooms = (max(map(len, cells)) for cells in zip(titles, *rows, strict=True))
    return columns is None or sum(rooms) + 2 * (len(titles) - 1) <= columns


def _place(each: dict[str, object]) -> str:
    if not each["path"]:
        return ""
    where = f"config.json:{each['line']} " if each["line"] else ""
    return f"{where}{each['path']}"
