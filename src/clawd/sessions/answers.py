"""What becomes of the human's word, and of a creator's answer to its worker's question."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clawd.approvals.desk import Desk
from clawd.approvals.models import Approval
from clawd.comms.clock import Clock
from clawd.comms.manager import SessionCommsManager
from clawd.comms.models import SessionMessage
from clawd.comms.trying import surely
from clawd.errors import ClawdError, StorageError
from clawd.ids import OPERATOR
from clawd.lineage import from_outside
from clawd.sessions.session import Session

log = logging.getLogger("clawd.sessions")

_AGAIN_SECONDS = 2.0
"""How long an answer waits for a disk that does not take it."""


def going_on(find: Callable[[str], Session | None]) -> Callable[[Approval], Awaitable[None]]:
    """What lets the turn go on that waited for the human."""

    async def go_on(approval: Approval) -> None:
        session = find(approval.session)
        if session is not None:
            session.go_on_with(approval.turn)

    return go_on


@dataclass(frozen=True, slots=True)
class Answers:
    """Takes such messages out of the mail. They answer questions, and approve nothing."""

    desk: Desk
    comms: SessionCommsManager
    clock: Clock
    _taken: set[str] = field(default_factory=set)
    """What is being taken now: nothing else is to become of it, however often it is looked at."""

    def __call__(self, message: SessionMessage) -> bool:
        """Whether this message is such an answer; its task then goes on with it."""
        if message.id in self._taken:
            return True
        if message.from_daemon or message.type == "task_result" or not message.thread_id:
            return False
        task = self.comms.board.find(message.thread_id)
        if task is None or (message.from_, message.to) != (task.from_session, task.to_session):
            return False
        question = self.desk.question_of(task.id)
        if question is None:
            return False

        async def settle() -> None:
            try:
                await self.desk.settle(
                    question.id,
                    "answered",
                    by=message.from_,
                    answer=message.content,
                    untrusted=from_outside(message.lineage) and message.from_ != OPERATOR,
                )
            except StorageError:
                self.clock.later(_AGAIN_SECONDS, settle)
            except ClawdError:
                self._taken.discard(message.id)
                self.comms.post.wake(message)  # somebody was faster: it is mail like any other
            else:
                await surely(self.clock, take, untaken)

        async def take() -> None:
            if self.comms.post.waits.get(message.id) is not None:
                # Nobody replies to an answer: its sender need not wait out its time.
                why = f"answered the question of {task.id}, whose result comes by itself"
                await self.comms.settling.give_back(message, why)
            await self.comms.post.read([message])
            self._taken.discard(message.id)

        def untaken(error: ClawdError) -> None:
            log.warning("answer %s is not marked as read: %s", message.id, error)

        self._taken.add(message.id)
        self.clock.later(0, settle)
        return True
