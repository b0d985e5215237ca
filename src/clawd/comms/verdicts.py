"""Telling the creator of a task how it ended: once, whatever dies in between."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from clawd.bus.port import Envelope, MessageBus
from clawd.comms.board import TaskBoard
from clawd.comms.checks import cut
from clawd.comms.clock import Clock
from clawd.comms.directory import Directory
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.comms.post import Post
from clawd.comms.trying import surely
from clawd.errors import ClawdError, StorageError
from clawd.events import Event, Notice
from clawd.ids import OPERATOR, now
from clawd.lineage import Lineage

log = logging.getLogger("clawd.tasks")

MAX_TOLD_BYTES = 64 * 1024
"""How much of a verdict is told that is too long for one line of a mailbox."""
PARENT_ENDED = "the task that it was for has ended"


class Verdicts:
    """The messages that carry verdicts, and the tasks that go on with them."""

    def __init__(
        self,
        board: TaskBoard,
        post: Post,
        directory: Directory,
        bus: MessageBus,
        clock: Clock,
        emit: Callable[[Event], object],
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._board = board
        self._post = post
        self._directory = directory
        self._bus = bus

    async def announce(self, task: AsyncTask) -> None:
        """Tell the creator; what is in the way is tried again, and told to the operator once."""

        def untold(error: ClawdError) -> None:
            text = f"{task.from_session} cannot be told yet of the end of {task.id}: {error}"
            log.warning("%s", text)
            trace = lineage_of(task).trace
            self._emit(Notice(trace=trace, code="verdict_untold", text=text, level="warning"))

        await surely(self._clock, lambda: self._tell(task), untold)

    async def _tell(self, task: AsyncTask) -> None:
        """Send the creator the verdict, once: the message's id follows from the task's."""
        known = task.from_session == OPERATOR or self._directory.get(task.from_session) is not None
        if not known or self._post.box(task.from_session).get(_message_id(task)) is not None:
            return
        made = lineage_of(task)
        # A result comes back at the hop count of what it answers, to the chain of its creator.
        lineage = msgspec.structs.replace(
            made.back(task.id, task.to_session, max(0, made.hops - 1), made.path[:-1]),
            tasks=made.tasks[:-1],
        )
        # Nobody needs waking for what was cancelled because its own purpose is gone.
        silent = task.reason == PARENT_ENDED
        message = SessionMessage(
            id=_message_id(task),
            from_=task.to_session,
            to=task.from_session,
            content=verdict(task),
            timestamp=now(),
            read=silent,
            state="read" if silent else "stored",
            thread_id=task.id,
            type="task_result",
            priority=task.priority,
            lineage=lineage,
        )
        try:
            await self._post.store(message)
        except StorageError as error:
            if error.code != "line_too_large":
                raise
            remark = "[clawd: cut; check_async_tasks has the whole]"
            text = cut(message.content, MAX_TOLD_BYTES, remark)
            message = msgspec.structs.replace(message, content=text)
            await self._post.store(message)
        self._wake(message)

    def continued(self, message: SessionMessage) -> AsyncTask | None:
        """The open task of the receiver that this verdict lets go on, if there is one."""
        child = self._board.find(message.thread_id) if message.type == "task_result" else None
        parent = self._board.find(child.parent_task) if child is not None else None
        if parent is None or parent.final or parent.to_session != message.to:
            return None
        return parent

    def awaited(self, task: AsyncTask) -> bool:
        """Whether tasks made for this one are open, or their verdicts not yet told or read."""
        parts = self._board.children(task.id)
        if any(not part.final for part in parts):
            return True
        if not parts or self._directory.get(task.to_session) is None:
            return False
        box = self._post.box(task.to_session)
        # A verdict is on disk a moment after its task has ended, and is kept as long as that.
        told = (box.get(_message_id(part)) for part in parts)
        return any(message is None or message.waits for message in told)

    def wake(self, task: AsyncTask) -> None:
        """Put the unread verdicts that continue this task on the bus again."""
        for message in self._unread(task):
            self._wake(message)

    def _unread(self, task: AsyncTask) -> list[SessionMessage]:
        if task.to_session == OPERATOR or self._directory.get(task.to_session) is None:
            return []
        box = self._post.box(task.to_session)
        found = (box.get(_message_id(child)) for child in self._board.children(task.id))
        return [message for message in found if message is not None and message.waits]

    def _wake(self, message: SessionMessage) -> None:
        # Also of a session that reads its mail by itself: nothing else would end the task.
        if message.waits and self.continued(message) is not None:
            lineage = message.lineage or Lineage(message.id, origin="external")
            self._bus.publish(
                Envelope(message.id, "message", message.to, lineage, message.priority)
            )


def verdict(task: AsyncTask) -> str:
    """How a task ended, in words: what its creator is sent."""
    doubt = " (no tool was used)" if task.verified is False else ""
    reason = f" ({task.reason})" if task.reason and task.reason != task.error else ""
    text = task.result if task.error is None else task.error
    head = f"{task.status.capitalize()}{reason}{doubt}"
    return f"{head}: {text}" if text else f"{head}."


def lineage_of(task: AsyncTask) -> Lineage:
    """The lineage of a task; one from a file without it gets a trace of its own."""
    return task.lineage or Lineage(
        task.id, origin="external", tasks=(task.from_session, task.to_session)
    )


def _message_id(task: AsyncTask) -> str:
    return "msg-" + task.id.removeprefix("task-")
