"""Which limits a model call has to keep, and how much of its answer they leave room for."""

from __future__ import annotations

from collections.abc import Sequence

from clawd.config.schema import Limits
from clawd.errors import GuardRefused
from clawd.ledger.account import Account
from clawd.ledger.purse import Bound, Purse, Unit
from clawd.llm.prices import Price

UNLIMITED_ANSWER = 4096
"""The most tokens of an answer where neither the operator nor the endpoint says."""
SHORTEST_ANSWER = 256
"""An answer is cut to what a budget leaves, but never shorter than this: then it is refused."""

_MILLION = 1_000_000


def bounds(
    account: Account,
    payer: str,
    purses: tuple[Purse, Purse, Purse],
    own: Limits,
    pays: Limits,
    house: Limits,
) -> Sequence[Bound]:
    """The limits in force: of the trace, of the payer's day, of the daemon's day.

    ``own`` are the session's limits, ``pays`` those of its payer, ``house`` the top-level ones.
    """
    trace, day, home = purses
    found: list[Bound] = []
    budget = account.budget

    def bound(name: str, purse: Purse, unit: Unit, limit: float | None, scope: str) -> None:
        if limit is not None:
            hint = f"raise limits.{key_of(name)}, or wait for another day"
            if purse is trace:
                hint = (
                    f"a new line of the operator opens a new trace; or raise limits.{key_of(name)}"
                )
            found.append(Bound(name, purse, unit, limit, scope, hint))

    in_trace = f"trace {account.trace}"
    bound("tokens_per_trace", trace, "tokens", own.max_tokens_per_trace, in_trace)
    bound("cost_per_trace", trace, "USD", own.max_cost_per_trace, in_trace)
    if budget is not None:
        hint = "a new prompt opens a new trace; give it a larger budget"
        if budget.max_tokens is not None:
            limit: float = budget.max_tokens
            found.append(
                Bound("tokens_per_trace", trace, "tokens", limit, in_trace, hint, strict=True)
            )
        if budget.max_cost is not None:
            limit = budget.max_cost
            found.append(Bound("cost_per_trace", trace, "USD", limit, in_trace, hint, strict=True))
    in_day = f"session {payer}, today"
    # What a session has from the top level is the daemon's to bound, for all of them together.
    tokens = _stricter(
        _unless(own.max_tokens_per_day, house.max_tokens_per_day),
        _unless(pays.max_tokens_per_day, house.max_tokens_per_day),
    )
    cost = _stricter(
        _unless(own.max_cost_per_day, house.max_cost_per_day),
        _unless(pays.max_cost_per_day, house.max_cost_per_day),
    )
    bound("tokens_per_day", day, "tokens", tokens, in_day)
    bound("cost_per_day", day, "USD", cost, in_day)
    bound("tokens_per_day", home, "tokens", house.max_tokens_per_day, "the daemon, today")
    bound("cost_per_day", home, "USD", house.max_cost_per_day, "the daemon, today")
    return found


def unbounded(account: Account, own: Limits, pays: Limits, house: Limits) -> bool:
    """Whether no limit at all is in force: asked before each call, so it makes nothing."""
    if account.budget is not None:
        return False
    for limits in (own,) if own is pays is house else (own, pays, house):
        if (
            limits.max_tokens_per_trace is not None
            or limits.max_tokens_per_day is not None
            or limits.max_cost_per_trace is not None
            or limits.max_cost_per_day is not None
        ):
            return False
    return True


def answer_room(bound: Bound, tokens: int, price: Price | None, *, held: bool = True) -> float:
    """How many tokens of answer the limit leaves to a call that sends so many; may be negative.

    Without ``held`` as if no other call ran.
    """
    remaining = bound.remaining if held else bound.limit - bound.purse.spent(bound.unit)
    if bound.unit == "tokens":
        return remaining - tokens
    if price is None:
        return float("inf")  # whoever has no price is refused before, or costs nothing
    left = remaining * _MILLION - tokens * price.input
    if price.output > 0:
        return left / price.output + 1e-6
    return float("inf") if left >= 0 else -1.0


def price_of(tokens: int, answer: int, price: Price | None) -> float:
    """USD for a call of that size."""
    return (tokens * price.input + answer * price.output) / _MILLION if price else 0.0


def refused(bound: Bound, session: str, tokens: int, answer: int, cost: float) -> GuardRefused:
    """The error for a call that does not fit any more."""
    spent, held = bound.purse.spent(bound.unit), bound.purse.used(bound.unit)
    needed = tokens + answer if bound.unit == "tokens" else cost
    waiting = f" ({bound.amount(held - spent)} more are held for running calls)"
    text = (
        f"{bound.scope}: {bound.amount(spent)} of {bound.amount(bound.limit)} are spent"
        f"{waiting if held - spent > 1e-9 else ''}; {bound.amount(bound.remaining)} remain, and "
        f"the next call of {session} may need {bound.amount(needed)}"
    )
    value = int(spent) if bound.unit == "tokens" else round(spent, 9)
    limit = int(bound.limit) if bound.unit == "tokens" else bound.limit
    return GuardRefused(
        f"guard_{bound.name}", text, limit=limit, value=value, scope=bound.scope, hint=bound.hint
    )


def unpriced(bound: Bound, template: str, model: str) -> GuardRefused:
    """The error for a call whose cost nobody can count."""
    return GuardRefused(
        f"guard_{bound.name}",
        f"{bound.scope}: {bound.amount(bound.limit)} is the limit, and the price of "
        f"'{model}' of '{template}' is not known, so that it cannot be kept",
        limit=bound.limit,
        value=round(bound.purse.cost, 9),
        scope=bound.scope,
        hint=f"add providerTemplates.{template}.prices to config.json",
    )


def key_of(name: str) -> str:
    """The key of `limits` for a bound's name."""
    return "max" + "".join(word.capitalize() for word in name.split("_"))


def _unless(value: float | None, inherited: float | None) -> float | None:
    return None if value == inherited else value


def _stricter(one: float | None, other: float | None) -> float | None:
    values = [value for value in (one, other) if value is not None]
    return min(values) if values else None
