"""Who waits for whom: the graph that keeps sessions from waiting for each other for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clawd.comms.models import SessionMessage
from clawd.comms.refusals import in_a_row
from clawd.errors import ClawdError, Refused
from clawd.lineage import Lineage


@dataclass(slots=True, eq=False)
class Wait:
    """A turn of ``waiter`` that stands still until ``target`` answers the message ``question``.

    ``shown``: the target knows of the question though it started no turn of it. ``claimed``: an
    answer is being written to disk, and no other may take its place. ``taken``: whoever waited has
    got it.
    """

    waiter: str
    target: str
    question: str
    content: str
    shown: bool = False
    claimed: bool = False
    taken: bool = False
    answer: asyncio.Future[SessionMessage] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, message: SessionMessage) -> bool:
        """Hand over the answer; False when nobody waits any more."""
        if self.answer.done():
            return False
        self.answer.set_result(message)
        return True

    def fail(self, error: ClawdError) -> None:
        """There will be no answer."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Waits:
    """The waits that are open now, by the id of the question."""

    def __init__(self, chain: Callable[[str, Sequence[str]], str] = in_a_row) -> None:
        self._chain = chain
        self._open: dict[str, Wait] = {}

    def open(self, waiter: str, target: str, question: str, content: str) -> Wait:
        """Open a wait before its question is sent, so that two can never miss each other.

        ``Refused`` when it would close a circle, naming the circle and the question that is open.
        """
        self._check(waiter, target)
        wait = Wait(waiter, target, question, content)
        self._open[question] = wait
        return wait

    def close(self, wait: Wait) -> SessionMessage | None:
        """End a wait, answered or not; an answer that nobody has taken."""
        self._open.pop(wait.question, None)
        answer = wait.answer
        # No answer that is still on its way to the disk may be handed to it now.
        if wait.taken or answer.cancel() or answer.cancelled() or answer.exception():
            return None
        return answer.result()

    def get(self, question: str | None) -> Wait | None:
        """The wait for an answer to this message, while it has none."""
        wait = self._open.get(question or "")
        return wait if wait is not None and not wait.answer.done() else None

    def free(self, question: str | None) -> Wait | None:
        """The same, when no answer is on its way."""
        wait = self.get(question)
        return wait if wait is not None and not wait.claimed else None

    def shown(self, waiter: str, target: str) -> str | None:
        """The question of ``waiter`` that ``target`` was shown outside a turn of its own."""
        for wait in self._open.values():
            if (wait.waiter, wait.target) == (waiter, target) and wait.shown:
                return wait.question if self.free(wait.question) else None
        return None

    def of_target(self, target: str) -> list[Wait]:
        """Who waits for an answer of this session."""
        return [w for w in self._open.values() if w.target == target and not w.answer.done()]

    def _check(self, waiter: str, target: str) -> None:
        paths: list[list[Wait]] = [[w] for w in self._open.values() if w.waiter == target]
        seen = {target}
        while paths:
            path = paths.pop()
            end = path[-1].target
            if end == waiter and not path[-1].answer.done():
                path[-1].shown = True
                names = (waiter, *(wait.waiter for wait in path), waiter)
                raise _circle(self._chain(waiter, names), path)
            if end not in seen and not path[-1].answer.done():
                seen.add(end)
                paths += [[*path, w] for w in self._open.values() if w.waiter == end]


def _circle(circle: str, path: list[Wait]) -> Refused:
    open_wait = path[-1]
    asker = open_wait.waiter
    return Refused(
        "wait_circle",
        f"waiting would close a circle: {circle}. {asker} is waiting for your answer to "
        f"message {open_wait.question}",
        hint=f"answer it now with send_message_to_session to {asker}, without wait_seconds",
        circle=circle,
        openQuestion={"id": open_wait.question, "from": asker, "content": open_wait.content},
    )


def as_answer(lineage: Lineage, question: SessionMessage) -> Lineage:
    """An answer comes back at the hop count of what it answers."""
    known = question.lineage or Lineage(question.id)
    return lineage.back(lineage.parent, lineage.path[-1], known.hops, known.path)
