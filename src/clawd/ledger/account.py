"""Who a model call is made for, and who pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clawd.lineage import Budget
from clawd.messages import Usage


@dataclass(frozen=True, slots=True)
class Account:
    """The place of a model call among sessions, turns and tasks.

    ``own`` marks the operator's own turn: it counts, and no limit of the configuration stops it.
    ``budget`` is the purse that whoever opened the trace set for all of it. ``lost`` hears, with
    the model, what a call used that gave no reply: nobody else could tell the turn of it.
    """

    session: str
    trace: str = ""
    turn: str = ""
    task: str = ""
    role: str = ""
    own: bool = False
    budget: Budget | None = None
    lost: Callable[[str, Usage], object] | None = None
