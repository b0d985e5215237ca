"""A refusal by a guard: the one error shape, and the notice that goes with it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from clawd.comms.traces import Traces
from clawd.errors import GuardRefused, TooLarge
from clawd.events import Event, Notice
from clawd.ids import OPERATOR
from clawd.lineage import Lineage

AGAIN_SECONDS = 60.0
"""How long the same refusal of the same session in the same trace is told once."""

_REMEMBERED = 1_000


class Refusals:
    """Makes the errors, and tells the operator of each; of one that goes on and on, at times."""

    def __init__(self, emit: Callable[[Event], object], traces: Traces) -> None:
        self._emit = emit
        self._traces = traces
        self._told: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()

    def of(
        self,
        session: str,
        lineage: Lineage,
        code: str,
        text: str,
        limit: int,
        value: int,
        scope: str,
        hint: str,
    ) -> GuardRefused:
        """The error for what ``session`` would have done; whoever may do it reads the same text."""
        message = text if code == "guard_delegation_cycle" else f"{text}; the limit is {limit}"
        kind = TooLarge if code == "too_large" else GuardRefused
        error = kind(code, message, limit=limit, value=value, scope=scope, hint=hint)
        self._traces.refused(lineage.trace)
        # The operator who is refused is told by the refusal itself.
        if session != OPERATOR:
            self._tell(session, lineage, error)
        return error

    def _tell(self, session: str, lineage: Lineage, error: GuardRefused) -> None:
        key = (error.code, session, lineage.trace)
        at, untold = self._told.pop(key, (0.0, 0))
        if at and time.monotonic() - at < AGAIN_SECONDS:
            self._told[key] = (at, untold + 1)
            return
        self._told[key] = (time.monotonic(), 0)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        times = f" (and {untold} times since the last notice)" if untold else ""
        self._emit(
            Notice(
                session=session,
                trace=lineage.trace,
                code=error.code,
                text=error.message + times,
                level="warning",
                guard=error.as_json(),
                parent=lineage.parent,
            )
        )


def in_a_row(_: str, names: Sequence[str]) -> str:
    """Sessions in a row, for a reader who may know all of them (else ``Directory.chain``)."""
    return " -> ".join(names)
