"""What a scope has spent, what is held back for calls that run, and the bounds on both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clawd.messages import Usage

Unit = Literal["tokens", "USD"]

WARN_AT = 0.8
_ROUNDING = 1e-12


@dataclass(slots=True)
class Purse:
    """Tokens (of input and output) and USD: spent, and held for calls that are not over."""

    tokens: int = 0
    cost: float = 0.0
    held_tokens: int = 0
    held_cost: float = 0.0
    calls: int = 0
    """How many calls hold something back."""

    def hold(self, tokens: int, cost: float) -> None:
        """Hold back so much."""
        self.held_tokens += tokens
        self.held_cost += cost
        self.calls += 1

    def release(self, tokens: int, cost: float) -> None:
        """Give free what was held back."""
        self.calls -= 1
        self.held_tokens -= tokens
        self.held_cost = self.held_cost - cost if self.calls else 0.0

    def spend(self, usage: Usage) -> None:
        """Take out what was used."""
        self.tokens += usage.input_tokens + usage.output_tokens
        self.cost += usage.cost or 0.0

    def spent(self, unit: Unit) -> float:
        """What is gone."""
        return self.tokens if unit == "tokens" else self.cost

    def used(self, unit: Unit) -> float:
        """What is gone or held back."""
        if unit == "tokens":
            return self.tokens + self.held_tokens
        return self.cost + self.held_cost


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit on a purse. ``strict`` stops also what the operator asked for himself."""

    name: str
    purse: Purse
    unit: Unit
    limit: float
    scope: str
    hint: str
    strict: bool = False

    @property
    def remaining(self) -> float:
        """What is neither spent nor held back, never less than nothing."""
        return max(0.0, self.limit - self.purse.used(self.unit))

    @property
    def share(self) -> float:
        """How much of the limit is spent, 1.0 being all."""
        return self.purse.spent(self.unit) / self.limit if self.limit else 1.0

    def passed(self, before: float) -> float:
        """The mark (0.8 or 1.0) that was passed since so much was spent; 0.0 for none."""
        after = self.purse.spent(self.unit)
        for mark in (1.0, WARN_AT):
            edge = mark * self.limit - _ROUNDING
            if before < edge <= after:
                return mark
        return 0.0

    def amount(self, value: float) -> str:
        """So much in words."""
        if self.unit == "tokens":
            return f"{value:,.0f} tokens"
        return f"${value:.4f}" if value >= 0.0001 or not value else f"${value:.8f}"
