"""Messages: stored, handed to turns and waits, read. The owner of all mailboxes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from clawd.bus.port import Envelope, MessageBus
from clawd.comms.ages import Ages
from clawd.comms.caller import Caller
from clawd.comms.checks import check_content, check_priority, check_thread, check_ttl
from clawd.comms.clock import Clock
from clawd.comms.directory import Directory
from clawd.comms.guards import Guards
from clawd.comms.mailbox import Mailbox
from clawd.comms.models import MessageType, SessionMessage
from clawd.comms.replies import answered_by
from clawd.comms.restoring import restore_messages
from clawd.comms.traces import Traces
from clawd.comms.trying import surely
from clawd.comms.waits import Wait, Waits, as_answer
from clawd.config.schema import Limits
from clawd.errors import Invalid, NotFound, Refused
from clawd.events import Event, SessionMessageChanged
from clawd.ids import new_id, now
from clawd.lineage import Lineage

log = logging.getLogger("clawd.messages")

MAX_WAIT_SECONDS = 600


class Post:
    """Takes messages in, wakes their receivers, and keeps the true state of each."""

    def __init__(
        self,
        directory: Directory,
        guards: Guards,
        traces: Traces,
        bus: MessageBus,
        mailbox: Callable[[str, Path], Mailbox],
        clock: Clock,
        emit: Callable[[Event], object],
        limits: Callable[[str], Limits],
    ) -> None:
        self.waits = Waits(directory.chain)
        self._directory = directory
        self._guards = guards
        self._traces = traces
        self._bus = bus
        self._mailbox = mailbox
        self._clock = clock
        self._emit = emit
        self._limits = limits
        self._boxes: dict[str, Mailbox] = {}
        self.ages = Ages()
        self._owners: dict[str, str] = {}
        self.holds_thread: Callable[[str, str], bool] = lambda _session, _thread: True
        """Whether a session may write in a thread (threads of tasks belong to two alone)."""
        self.answers: Callable[[SessionMessage], bool] = lambda _message: False
        """Takes a message that answers the question of a task, instead of waking its receiver."""
        self.has_a_time: Callable[[SessionMessage], object] = lambda _message: None
        """Told of each stored message that expires."""

    def open(self, owner: str, path: Path, may_be: Callable[[], object] = list) -> list[str]:
        """Load the mailbox of a session (blocking); what was wrong with its file, in words.

        ``StorageError`` when it cannot be read, or from ``may_be``; who sends is told the same.
        """
        box = self._boxes[owner] = self._mailbox(owner, path)
        loaded = box.load(may_be)
        for message in box.all():
            self._owners[message.id] = owner
        restore_messages(box.all(), self._traces, self._guards)
        return [str(problem) for problem in loaded.problems]

    def close(self, owner: str) -> None:
        """Forget a removed session's mailbox; the file stays in its workspace."""
        box = self._boxes.pop(owner, None)
        for message in box.all() if box else ():
            self._owners.pop(message.id, None)
            self._traces.stored(message, -1)

    def box(self, owner: str) -> Mailbox:
        """The mailbox of a session or of the operator."""
        if owner not in self._boxes:
            raise NotFound("unknown_session", f"there is no mailbox of {owner[:80]!a}")
        return self._boxes[owner]

    def has_box(self, owner: str) -> bool:
        """Whether there is a mailbox of this address."""
        return owner in self._boxes

    def boxes(self) -> Iterable[Mailbox]:
        """Every mailbox."""
        return self._boxes.values()

    def find(self, message_id: str) -> SessionMessage | None:
        """A message by id, wherever it is."""
        box = self._boxes.get(self._owners.get(message_id, ""))
        return box.get(message_id) if box is not None else None

    def get(self, message_id: str) -> SessionMessage:
        """A message by id, wherever it is; ``NotFound``."""
        message = self.find(message_id)
        if message is None:
            raise NotFound("unknown_message", f"there is no message {message_id[:80]!a}")
        return message

    def current(self, messages: Iterable[SessionMessage]) -> list[SessionMessage]:
        """These messages as they are now; those that were removed meanwhile are left out."""
        return [found for m in messages if (found := self.find(m.id)) is not None]

    async def send(
        self,
        caller: Caller,
        to: str,
        content: str,
        *,
        thread: str | None = None,
        priority: int = 5,
        ttl: float | None = None,
        reply_to: str | None = None,
        kind: MessageType = "message",
        counted: bool = True,
        message_id: str | None = None,
    ) -> SessionMessage:
        """Store a message for a session or the operator, and wake it; durable when it returns.

        A message to the sender of one that started this turn is its answer, and so is one to a
        session that waits for an answer to what this one has read. ``counted`` False leaves the
        rate to the caller (a broadcast is one send). Raises ``Invalid``, ``NotFound``, ``Refused``
        or ``StorageError``; then nothing was sent.
        """
        self._directory.address(caller.session, to, "send")
        lineage = caller.lineage.step(caller.turn, caller.session)
        most = self._limits(caller.session).max_message_bytes
        self._guards.size(lineage, caller.session, "message", check_content(content), most)
        check_priority(priority)
        check_ttl(ttl)
        asked = answered_by(self.find, self.waits, caller, to, reply_to)
        if thread is None and asked is not None:
            thread = asked.thread_id
        check_thread(thread)
        for end in (caller.session, to) if thread else ():
            if not self.holds_thread(end, thread or ""):
                raise Refused(
                    "thread_of_a_task",
                    f"thread {thread!r} belongs to a task that is not of you two",
                    hint="use another thread",
                )
        wait = self.waits.free(asked.id) if asked and asked.to == caller.session else None
        if asked is not None and wait is not None:
            lineage = as_answer(lineage, asked)
        else:
            self._guards.message(lineage, caller.session, to)
            if counted:
                self._guards.rate(lineage, caller.session)
            self._guards.room(lineage, caller.session, to, self.box(to).expected())
        message = SessionMessage(
            id=message_id or new_id("msg"),
            from_=caller.session,
            to=to,
            content=content,
            timestamp=now(),
            read=False,
            thread_id=thread,
            reply_to=asked.id if asked else None,
            priority=priority,
            ttl_seconds=ttl,
            type=kind,
            lineage=lineage,
        )
        await self.store(message)
        return message

    async def store(self, message: SessionMessage) -> None:
        """Store a message as it is; hand it to the wait that it answers, or wake its receiver."""
        box = self.box(message.to)
        asked = self.find(message.reply_to or "")
        if asked is not None and (asked.to, asked.from_) != (message.from_, message.to):
            asked = None
        wait = self.waits.free(asked.id) if asked and not message.from_daemon else None
        if wait is not None:
            wait.claimed = True
            # It enters the turn that waits; read when that turn ends.
            message = msgspec.structs.replace(message, state="delivered", delivered_at=now())
        # Counted before it is on disk: messages that are written side by side know of each other.
        self._traces.stored(message)
        try:
            await box.add(message)
        except asyncio.CancelledError:
            self._arrived(message, wait)
            self._clock.later(0, lambda: self._surely_answered(asked, message))
            raise
        except Exception:
            self._traces.stored(message, -1)
            if wait is not None:
                wait.claimed = False
            raise
        self._arrived(message, wait)
        await self._surely_answered(asked, message)

    async def _surely_answered(self, asked: SessionMessage | None, reply: SessionMessage) -> None:
        # The reply is stored and on its way: an error would have it sent once more.
        if asked is not None and not reply.from_daemon:
            text = "%s is not marked as answered yet: %s"
            refused = partial(log.warning, text, asked.id)
            await surely(self._clock, partial(self.answered, asked), refused)

    def _arrived(self, message: SessionMessage, wait: Wait | None) -> None:
        self._owners[message.id] = message.to
        self._tell(message)
        if message.ttl_seconds is not None:
            self.ages.stamped(message.id)
            self.has_a_time(message)
        if wait is None or not wait.end(message):
            self.wake(message)

    async def ask(
        self, caller: Caller, to: str, content: str, seconds: float, **options: Any
    ) -> tuple[SessionMessage, SessionMessage | None]:
        """Send a request and wait for its answer; ``None`` when none came in time.

        The first message that replies is the answer, or else the final text of the turn that the
        request started. An answer that comes later arrives as a message. ``Refused`` when there
        will be none, or when waiting would close a circle.
        """
        if not 0 < seconds <= MAX_WAIT_SECONDS:
            raise Invalid("invalid_wait", f"wait_seconds must be from 0 to {MAX_WAIT_SECONDS}")
        # Before the circle is looked for, whose error would tell who else is there.
        self._directory.address(caller.session, to, "send")
        wait = self.waits.open(caller.session, to, new_id("msg"), content)
        options |= {"kind": "request", "message_id": wait.question}
        try:
            message = await self.send(caller, to, content, **options)
            try:
                async with caller.pause(), asyncio.timeout(seconds):
                    answer = await wait.answer
            except TimeoutError:
                return message, None
            if caller.turn:
                caller.answers.append(answer)
            else:
                await self.read([answer])
            wait.taken = True
        finally:
            # One that came, and that the turn did not live to take, is a message like any other.
            if (left := self.waits.close(wait)) is not None:
                self.wake(left)
        return message, answer

    def wake(self, message: SessionMessage) -> None:
        """Put a waiting message on the bus, unless its receiver reads its mail itself.

        So it does with mail of a session that has no right to wake it, but for what it asked for.
        """
        entry = self._directory.get(message.to)
        if message.waits and self.answers(message):
            return
        if (
            entry is not None
            and entry.enabled
            and entry.wake
            and self.may_wake(message)
            and message.type != "receipt"
            and message.waits
            and not self.expired(message)
        ):
            lineage = message.lineage or Lineage(message.id, origin="external")
            self._bus.publish(
                Envelope(message.id, "message", message.to, lineage, message.priority)
            )

    def may_wake(self, message: SessionMessage) -> bool:
        """Whether its sender has the right to, or it brings what its receiver asked for."""
        asked = self.find(message.reply_to or "")
        return (
            message.type in ("task_result", "notice")
            or (asked is not None and asked.type == "request" and asked.from_ == message.to)
            or self._directory.let(message.from_, message.to, "wake")
        )

    def wake_all(self, owner: str) -> None:
        """Wake a session for all mail that waits for it."""
        for message in list(self.box(owner).all()):
            self.wake(message)

    async def mark(self, messages: Iterable[SessionMessage], **fields: Any) -> list[SessionMessage]:
        """Change messages of one mailbox, tell the stream, and return the new records."""
        listed = list(messages)
        if not listed:
            return []
        changed = await self.box(listed[0].to).change(*((m.id, fields) for m in listed))
        for message in changed:
            self._tell(message)
        return changed

    async def delivered(self, messages: Iterable[SessionMessage]) -> None:
        """They have entered a turn."""
        fresh = [m for m in self.current(messages) if m.state in ("stored", "held")]
        await self.mark(fresh, state="delivered", delivered_at=now(), reason=None)

    async def read(self, messages: Iterable[SessionMessage]) -> list[SessionMessage]:
        """They have been read: by a turn that finished, or by ``read_session_messages``."""
        unread = [m for m in self.current(messages) if not m.read]
        for message in unread:
            wait = self.waits.get(message.id)
            if wait is not None:
                wait.shown = True
        at = now()
        plain = [m for m in unread if m.waits or m.state in ("read", "dead")]
        final = [m for m in unread if m not in plain]
        return [
            *await self.mark(final, read=True, read_at=at),
            *await self.mark(plain, read=True, read_at=at, state="read"),
        ]

    async def answered(self, message: SessionMessage) -> None:
        """A reply to it is stored: it wants no turn any more."""
        current = self.find(message.id)
        if current is not None and current.state in ("stored", "delivered", "held", "read"):
            at = current.read_at or now()
            await self.mark([current], state="answered", read=True, read_at=at)
            self._bus.withdraw(current.to, current.id)

    async def remove(self, owner: str, message_ids: Iterable[str]) -> None:
        """Take messages out of a mailbox and its file."""
        gone = set(message_ids)
        await self.box(owner).compact(lambda message: message.id not in gone)
        for message_id in gone:
            self._owners.pop(message_id, None)

    def expired(self, message: SessionMessage) -> bool:
        """Whether a message's time to live has passed."""
        seconds = message.ttl_seconds
        return seconds is not None and self.ages.of(message.id, message.timestamp) > seconds

    def _tell(self, message: SessionMessage) -> None:
        trace = message.lineage.trace if message.lineage else ""
        self._emit(SessionMessageChanged(session=message.to, trace=trace, message=message))
