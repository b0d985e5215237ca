"""The lines of ``state/usage.jsonl``: one for each model call, in the end one for many."""

from __future__ import annotations

from typing import Literal

import msgspec

from clawd.messages import Usage

State = Literal["reserved", "settled"]


class UsageRecord(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, gc=False
):
    """What one model call was to use (``reserved``) or has used; the last line for an id counts.

    ``day`` is the home's, as in ``2026-11-21``; ``payer`` the session whose purse of the day pays;
    ``cost`` USD, 0 for what is free, nothing where no price is known; ``estimated`` marks counts
    that no endpoint reported. A line with ``calls`` other than 1 stands for that many calls of
    earlier days.
    """

    id: str
    time: str
    day: str
    session: str
    payer: str
    template: str
    model: str
    state: State = "settled"
    trace: str = ""
    turn: str = ""
    task: str = ""
    role: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None
    estimated: bool = False
    calls: int = 1

    @property
    def usage(self) -> Usage:
        """The counts alone."""
        return Usage(
            self.input_tokens, self.output_tokens, self.cached_tokens, self.cost, self.estimated
        )
