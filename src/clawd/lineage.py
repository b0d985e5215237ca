"""Where a piece of autonomous work comes from: stamped by the daemon, never by a model."""

from __future__ import annotations

from typing import Literal

import msgspec

from clawd.ids import OPERATOR, new_id

Origin = Literal["operator", "peer", "external"]

MAX_PATH = 32
"""How many of the latest sessions a path names; ``hops`` counts all."""


class Budget(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What everything that one cause leads to may use at most: tokens, USD."""

    max_tokens: int | None = None
    max_cost: float | None = None


class Lineage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """The causal place of a message, a task, a turn or a created session.

    ``trace`` names all that one cause led to; ``parent`` the step that led here; ``hops`` how
    many messages, tasks and creations lie between the cause and this; ``path`` the sessions
    that they went through, the latest last (at most ``MAX_PATH``); ``tasks`` the open delegations
    that this is part of, outermost first, as ``session`` ids of their workers. ``budget`` is the
    purse of all of it, where whoever opened the trace gave one. ``untrusted``: on the way here
    somebody had read text from outside.
    """

    trace: str
    parent: str = ""
    hops: int = 0
    path: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    origin: Origin = "operator"
    budget: Budget | None = None
    untrusted: bool = False

    def step(self, parent: str, through: str) -> Lineage:
        """One hop on: what ``parent`` led to, sent by ``through``."""
        path = (*self.path, through)[-MAX_PATH:]
        return msgspec.structs.replace(
            self, parent=parent, hops=self.hops + 1, path=path, origin=_origin(through)
        )

    def back(self, parent: str, through: str, hops: int, path: tuple[str, ...]) -> Lineage:
        """What comes back, from ``through``, at the hop count and path of what it answers."""
        path = (*path[:-1], through) if path else ()
        return msgspec.structs.replace(
            self, parent=parent, hops=hops, path=path, origin=_origin(through)
        )


def from_outside(lineage: Lineage | None) -> bool:
    """Whether what came with this is text from outside, or may be: from nobody knows where."""
    return lineage is None or lineage.untrusted or lineage.origin == "external"


def _origin(through: str) -> Origin:
    return "operator" if through == OPERATOR else "peer"


def begin(origin: Origin = "operator", budget: Budget | None = None) -> Lineage:
    """The lineage of a new cause: a user line, a schedule's run, a client's request."""
    return Lineage(new_id("trace"), origin=origin, budget=budget)
