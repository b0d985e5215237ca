"""Who waits for whom: the graph that keeps two sessions from waiting for each other for ever."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from clawd.comms.models import SessionMessage
from clawd.errors import Refused


@dataclass(frozen=True, slots=True)
class Reply:
    """What ended a wait: the text, and the message that carried it (None for a final text)."""

    text: str
    message: SessionMessage | None = None


@dataclass(slots=True)
class Wait:
    """A turn of ``waiter`` that stands still until ``target`` answers ``message``."""

    waiter: str
    target: str
    message: SessionMessage
    shown: bool = False
    answer: asyncio.Future[Reply] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Waits:
    """The waits that are open now, by message id."""

    def __init__(self) -> None:
        self._open: dict[str, Wait] = {}

    def add(self, wait: Wait) -> None:
        """Open a wait."""
        self._open[wait.message.id] = wait

    def remove(self, wait: Wait) -> None:
        """Close a wait, answered or not."""
        self._open.pop(wait.message.id, None)

    def get(self, message_id: str | None) -> Wait | None:
        """The open wait for an answer to this message."""
        wait = self._open.get(message_id or "")
        return wait if wait is not None and not wait.answer.done() else None

    def shown(self, waiter: str, target: str) -> SessionMessage | None:
        """The question of ``waiter`` that ``target`` was told of when a circle was refused."""
        for wait in self._open.values():
            if (
                (wait.waiter, wait.target) == (waiter, target)
                and wait.shown
                and not wait.answer.done()
            ):
                return wait.message
        return None

    def check(self, waiter: str, target: str) -> None:
        """Refuse a wait that would close a circle, naming it and the question that is open."""
        paths: list[list[Wait]] = [[w] for w in self._open.values() if w.waiter == target]
        seen = {target}
        while paths:
            path = paths.pop()
            end = path[-1].target
            if end == waiter:
                path[-1].shown = True
                raise _circle(waiter, path)
            if end not in seen:
                seen.add(end)
                paths += [[*path, w] for w in self._open.values() if w.waiter == end]


def _circle(waiter: str, path: list[Wait]) -> Refused:
    circle = " -> ".join([waiter, *(wait.waiter for wait in path), waiter])
    question = path[-1].message
    return Refused(
        "wait_circle",
        f"waiting would close a circle: {circle}. {question.from_} is waiting for your answer to "
        f"message {question.id}",
        hint=f"answer it now with send_message_to_session to {question.from_}, without wait_seconds",
        circle=circle,
        openQuestion={"id": question.id, "from": question.from_, "content": question.content},
    )
