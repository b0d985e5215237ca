"""Who is acting: the session behind a tool call, with the lineage that the daemon gave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import msgspec

from clawd.agent.trust import Trust
from clawd.comms.models import SessionMessage
from clawd.ids import OPERATOR
from clawd.lineage import Lineage, begin, from_outside


def _no_pause() -> AbstractAsyncContextManager[object]:
    return nullcontext()


class Caller(msgspec.Struct, frozen=True):
    """The one who sends, delegates, reads or creates; bound to a turn, never given by a model.

    ``cause`` is where the turn comes from.
    ``triggered_by`` are the messages that started the turn; ``task`` the id of the task that it
    works on; ``done`` the tool calls that have ended in it (call id → name, success); ``answers``
    the answers that waits in it have got; ``pause`` gives back the turn's slot while it waits for
    somebody; ``trust`` says whether the turn has read text from outside;
    ``trigger`` is the kind of what started it.
    """

    session: str
    cause: Lineage
    turn: str = ""
    triggered_by: tuple[SessionMessage, ...] = ()
    task: str | None = None
    done: Mapping[str, tuple[str, bool]] = msgspec.field(default_factory=dict)
    workspace: Path | None = None
    pause: Callable[[], AbstractAsyncContextManager[object]] = _no_pause
    answers: list[SessionMessage] = msgspec.field(default_factory=list)
    trust: Trust = msgspec.field(default_factory=Trust)
    trigger: str = ""

    @property
    def lineage(self) -> Lineage:
        """What led here, for whatever is made now: marked once the turn has read from outside."""
        if self.trust.untrusted and not self.cause.untrusted:
            return msgspec.structs.replace(self.cause, untrusted=True)
        return self.cause

    def saw(self, lineage: Lineage | None, source: str) -> None:
        """The turn has read what came with this lineage; what came from outside marks it."""
        if from_outside(lineage):
            self.trust.mark(source)


def operator() -> Caller:
    """The human at the terminal: every line of theirs opens a new trace."""
    return Caller(OPERATOR, begin("operator"))
