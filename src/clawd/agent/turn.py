"""One run of a session, as the loop and its tools know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from clawd import events
from clawd.agent.repetition import Repetition
from clawd.agent.trust import Trust
from clawd.messages import JSON, Usage


@dataclass(slots=True)
class Turn:
    """One run of a session: who it is, where it reports, and what it has used so far.

    ``model_calls`` were made already, before the turn was cut off and went on.
    """

    id: str
    session: str
    trace: str
    emit: Callable[[events.Event], object]
    max_model_calls: int
    repetition: Repetition = field(default_factory=Repetition)
    usage: Usage = field(default_factory=Usage)
    done: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Tool calls that ended: call id → tool name, and whether it succeeded."""
    model_calls: int = 0
    goes_on: Callable[[], bool] = lambda: False
    """Whether the turn, when it is cancelled now, goes on later."""
    trust: Trust = field(default_factory=Trust)

    def tell(self, kind: type[events.RunEvent], **fields: object) -> None:
        """Put an event of this turn on the stream."""
        self.emit(kind(session=self.session, trace=self.trace, run_id=self.id, **fields))

    def notice(self, code: str, text: str, guard: JSON | None = None) -> None:
        """Tell the operator something of this turn."""
        self.emit(
            events.Notice(
                session=self.session,
                trace=self.trace,
                code=code,
                text=text,
                level="warning",
                guard=guard,
                parent=self.id,
            )
        )
