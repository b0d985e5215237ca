"""Where a piece of autonomous work comes from: stamped by the daemon, never by a model."""

from __future__ import annotations

from typing import Literal

import msgspec

from clawd.ids import OPERATOR, new_id

Origin = Literal["operator", "peer", "external"]


class Lineage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The causal place of a message, a task, a turn or a created session.

    ``trace`` names all that one cause led to; ``parent`` the step that led here; ``hops`` how
    many messages, tasks and creations lie between the cause and this; ``path`` the sessions
    that they went through; ``tasks`` the open delegations that this is part of, outermost first,
    as ``session`` ids of their workers.
    """

    trace: str
    parent: str = ""
    hops: int = 0
    path: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    origin: Origin = "operator"

    def step(self, parent: str, through: str) -> Lineage:
        """One hop on: what ``parent`` led to, sent by ``through``."""
        origin: Origin = "operator" if through == OPERATOR else "peer"
        return Lineage(self.trace, parent, self.hops + 1, (*self.path, through), self.tasks, origin)


def begin(origin: Origin = "operator") -> Lineage:
    """The lineage of a new cause: a user line, a schedule's run, a client's request."""
    return Lineage(new_id("trace"), origin=origin)
