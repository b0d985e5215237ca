"""``clawd usage``: tokens and cost by day, session, model or trace."""

from __future__ import annotations

import click

from clawd.cli.client import JSON
from clawd.cli.invocation import Invocation, command, pass_invocation
from clawd.cli.output import Output, Styled
from clawd.cli.times import count, money

_BAR = 16
_WIDE = 110
_NUMBERS = ("calls", "input", "output", "cached", "cost", "share")


@command("usage", "clawd usage --since 7d", "clawd usage --by session --json")
@click.option(
    "--by",
    type=click.Choice(["day", "session", "model", "trace"]),
    default="day",
    help="What to sum up by; days when left out.",
)
@click.option("--since", metavar="DAY", help="From this day on, as 2026-11-21, or 7d: seven days.")
@pass_invocation
def usage(invocation: Invocation, by: str, since: str | None) -> None:
    """Say what model calls used and cost, and how the limits of the day stand."""
    found = invocation.client.get("/api/usage", {"by": by, "since": since})
    out = invocation.out
    if out.as_json:
        out.document(found)
        return
    for limit in found["limits"]:
        out.line(*limit_line(limit))
    if found["limits"]:
        out.line("")
    if not found["items"]:
        out.note("no model was called" + (f" since {since}" if since else ""))
        return
    if found.get("leftOut"):
        out.note(f"{found['leftOut']} more are not shown; --since DAY shows fewer")
    _table(out, by, found)
    total = found["total"]
    if total["estimatedTokens"]:
        out.note(
            f"~ holds estimates: {count(total['estimatedTokens'])} tokens "
            "that no endpoint has reported"
        )
    if total["unpricedTokens"] and total["cost"]:
        out.note(f"not in the cost: {count(total['unpricedTokens'])} tokens without a price")


def limit_line(limit: JSON) -> list[Styled]:
    """How one limit stands, in a line."""
    share = float(limit["share"])
    style = "red" if share >= 1 else "yellow" if limit["near"] else "green"
    text = f"{_amount(limit, 'spent')} of {_amount(limit, 'limit')}"
    held = f", {_amount(limit, 'held')} held for running calls" if limit["held"] else ""
    return [
        (f"{limit['scope']}: ", ""),
        (f"{share:.0%}", style),
        (f" of {limit['key']} ({text}{held})", ""),
    ]


def _amount(limit: JSON, key: str) -> str:
    value = limit[key]
    return count(value) if limit["unit"] == "tokens" else money(value) or "$0"


def _table(out: Output, by: str, found: JSON) -> None:
    total = found["total"]
    # The bar stands in a column of its own, without a title.
    names = [by, *_NUMBERS] if out.plain else [by, *_NUMBERS, ""]
    narrow = out.columns is not None and out.columns < _WIDE
    rows = [_row(by, item, total, plain=out.plain, narrow=narrow) for item in found["items"]]
    if len(rows) > 1:
        rows.append(_row(by, {by: "total", **total}, total, plain=out.plain, narrow=narrow))
    if narrow and by == "trace":
        # An id is never cut; what else it needs room for is left out.
        left_out = names.index("cached")
        for row in (names, *rows):
            del row[left_out]
    out.table(names, rows, right=range(1, len(names) if out.plain else len(names) - 1))


def _row(by: str, item: JSON, total: JSON, *, plain: bool, narrow: bool) -> list[str]:
    whole, part = (_weight(each, total) for each in (total, item))
    share = part / whole if whole else 0.0
    about = "~" if item["estimatedTokens"] else ""
    name = str(item[by]) or "(no trace)"
    if by == "trace" and item.get("session") and not narrow:
        name += f" ({item['session']}, {item['day']})"
    if by == "model" and item.get("template"):
        name += f" ({item['template']})"
    cost = money(item["cost"])
    bar = "" if item.get(by) == "total" else "█" * round(share * _BAR)
    row = [
        name,
        f"{item['calls']}",
        about + count(item["inputTokens"]),
        about + count(item["outputTokens"]),
        count(item["cachedTokens"]) if item["cachedTokens"] else "",
        (("~" if item["estimatedCost"] else "") + cost) if cost else "",
        f"{share:.0%}",
    ]
    return row if plain else [*row, bar]


def _weight(item: JSON, total: JSON) -> float:
    """What a share is of: the cost where everything has one, else the tokens."""
    if total["cost"] and not total["unpricedTokens"]:
        return float(item["cost"] or 0.0)
    return float(item["inputTokens"] + item["outputTokens"])
