"""Messages: stored, delivered into turns, read, answered. The owner of all mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from clawd.bus.port import Envelope, MessageBus
from clawd.comms.caller import Caller
from clawd.comms.checks import check_content, check_thread
from clawd.comms.directory import Directory
from clawd.comms.guards import Guards
from clawd.comms.mailbox import Mailbox
from clawd.comms.models import MessageType, SessionMessage
from clawd.comms.waits import Reply, Wait, Waits
from clawd.config.schema import Limits
from clawd.errors import Invalid, NotFound, Refused
from clawd.events import Event, SessionMessageChanged
from clawd.ids import OPERATOR, new_id, now, seconds_of
from clawd.lineage import Lineage
from clawd.storage.writer import Writer

MAX_DELIVERIES = 5
MAX_WAIT_SECONDS = 600


class Post:
    """Takes messages in, wakes their receivers, and keeps the true state of each."""

    def __init__(
        self,
        directory: Directory,
        guards: Guards,
        bus: MessageBus,
        writer: Writer,
        emit: Callable[[Event], object],
        limits: Callable[[str], Limits],
    ) -> None:
        self.waits = Waits()
        self._directory = directory
        self._guards = guards
        self._bus = bus
        self._writer = writer
        self._emit = emit
        self._limits = limits
        self._boxes: dict[str, Mailbox] = {}
        self._owners: dict[str, str] = {}
        self.holds_thread: Callable[[str, str], bool] = lambda _session, _thread: True
        """Whether a session may write in a thread (threads of tasks belong to two alone)."""

    def open(self, owner: str, folder: Path) -> list[str]:
        """Load the mailbox of a session (blocking); what was wrong with its file, in words."""
        box = Mailbox(owner, folder, self._writer)
        loaded = box.load()
        self._boxes[owner] = box
        for message in box.all():
            self._owners[message.id] = owner
            self._guards.count(message)
        return [str(problem) for problem in loaded.problems]

    def close(self, owner: str) -> None:
        """Forget a removed session's mailbox; the file stays in its workspace."""
        box = self._boxes.pop(owner, None)
        for message in box.all() if box else ():
            self._owners.pop(message.id, None)

    def box(self, owner: str) -> Mailbox:
        """The mailbox of a session or of the operator."""
        if owner not in self._boxes:
            raise NotFound("unknown_session", f"there is no mailbox of {owner[:80]!a}")
        return self._boxes[owner]

    def boxes(self) -> Iterable[Mailbox]:
        """Every mailbox."""
        return self._boxes.values()

    def get(self, message_id: str) -> SessionMessage:
        """A message by id, wherever it is."""
        owner = self._owners.get(message_id)
        message = self._boxes[owner].get(message_id) if owner in self._boxes else None
        if message is None:
            raise NotFound("unknown_message", f"there is no message {message_id[:80]!a}")
        return message

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
    ) -> SessionMessage:
        """Store a message for a session or the operator, and wake it; durable when it returns.

        A message to the sender of one that started this turn is its answer, and so is one to a
        session whose turn waits for the caller. ``counted`` False leaves the rate to the caller
        (a broadcast is one send). Raises ``Invalid``, ``NotFound``, ``Refused`` or
        ``StorageError``; then nothing was sent.
        """
        if to != OPERATOR or caller.session == OPERATOR:
            self._directory.reach(caller.session, to)
        limits = self._limits(caller.session)
        check_content(content, limits.max_message_bytes)
        asked = self.get(reply_to) if reply_to else self._question(caller, to)
        open_wait = self.waits.get(asked.id if asked else None)
        if thread is None and asked is not None:
            thread = asked.thread_id
        check_thread(thread)
        if thread and not self.holds_thread(caller.session, thread):
            raise Refused(
                "thread_of_a_task",
                f"thread {thread!r} belongs to a task of others",
                hint="use another thread",
            )
        lineage = caller.lineage.step(caller.turn, caller.session)
        if open_wait is not None:
            lineage = _as_answer(lineage, open_wait.message)
        else:
            self._guards.message(lineage, caller.session, to)
            if counted:
                self._guards.rate(lineage, caller.session)
        message = SessionMessage(
            id=new_id("msg"),
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
        await self.store(message, answered=asked)
        return message

    async def store(
        self, message: SessionMessage, *, answered: SessionMessage | None = None
    ) -> None:
        """Store a message as it is and wake its receiver, or the wait that it answers."""
        box = self.box(message.to)
        limit = self._limits(message.to).max_unread
        if box.unread() >= limit:
            raise Refused(
                "mailbox_full",
                f"{message.to} has {limit} unread messages, its limit",
                hint="try again when it has read some",
            )
        wait = self.waits.get(message.reply_to)
        if wait is not None:
            taken = now()
            message = msgspec.structs.replace(
                message, read=True, state="read", delivered_at=taken, read_at=taken
            )
        await box.add(message)
        self._owners[message.id] = message.to
        self._guards.count(message)
        self._emit(
            SessionMessageChanged(session=message.to, trace=_trace(message), message=message)
        )
        if answered is not None and answered.to == message.from_:
            await self._answered(answered)
        if wait is not None and not wait.answer.done():
            wait.answer.set_result(Reply(message.content, message))
        elif message.to != OPERATOR:
            self.wake(message)

    async def ask(
        self, caller: Caller, to: str, content: str, seconds: float, **options: Any
    ) -> tuple[SessionMessage, Reply | None]:
        """Send a request and wait for its answer; ``None`` when none came in time.

        The first message that replies is the answer, or else the final text of the turn that the
        request started. An answer that comes later arrives as a message.
        """
        if not 0 < seconds <= MAX_WAIT_SECONDS:
            raise Invalid("invalid_wait", f"wait_seconds must be from 0 to {MAX_WAIT_SECONDS}")
        self.waits.check(caller.session, to)
        message = await self.send(caller, to, content, kind="request", **options)
        wait = Wait(caller.session, to, message)
        self.waits.add(wait)
        try:
            async with caller.pause(), asyncio.timeout(seconds):
                return message, await wait.answer
        except TimeoutError:
            return message, None
        finally:
            self.waits.remove(wait)

    def wake(self, message: SessionMessage) -> None:
        """Put a waiting message on the bus, unless its receiver reads its mail itself."""
        entry = self._directory.get(message.to)
        if (
            entry is not None
            and entry.enabled
            and entry.wake
            and message.waits
            and not expired(message)
        ):
            lineage = message.lineage or Lineage(message.id, origin="external")
            self._bus.publish(
                Envelope(message.id, "message", message.to, lineage, message.priority)
            )

    def waiting(self, owner: str) -> list[SessionMessage]:
        """What waits to enter a turn of this session, oldest first."""
        return [m for m in self.box(owner).all() if m.waits and not expired(m)]

    async def mark(self, messages: Iterable[SessionMessage], **fields: Any) -> list[SessionMessage]:
        """Change messages of one mailbox, tell the stream, and return the new records."""
        listed = list(messages)
        if not listed:
            return []
        changed = await self.box(listed[0].to).change(*((m.id, fields) for m in listed))
        for message in changed:
            self._emit(
                SessionMessageChanged(session=message.to, trace=_trace(message), message=message)
            )
        return changed

    async def delivered(self, messages: Iterable[SessionMessage]) -> None:
        """They have entered a turn."""
        await self.mark(
            [m for m in messages if m.state == "stored"], state="delivered", delivered_at=now()
        )

    async def read(self, messages: Iterable[SessionMessage]) -> list[SessionMessage]:
        """They have been read: by a turn that finished, or by ``read_session_messages``."""
        unread = [m for m in messages if not m.read]
        keep = [m for m in unread if m.state == "answered"]
        rest = [m for m in unread if m.state != "answered"]
        at = now()
        return [
            *await self.mark(keep, read=True, read_at=at),
            *await self.mark(rest, read=True, read_at=at, state="read"),
        ]

    async def turn_finished(self, caller: Caller, text: str) -> None:
        """A turn that messages started has ended well: they are read, and requests are answered."""
        current = [self.get(message.id) for message in caller.triggered_by]
        await self.read(current)
        for message in current:
            if message.type != "request" or message.state == "answered" or not text.strip():
                continue
            wait = self.waits.get(message.id)
            if wait is not None:
                await self._answered(self.get(message.id))
                wait.answer.set_result(Reply(text))
            elif message.from_ == OPERATOR or self._directory.get(message.from_) is not None:
                lineage = _as_answer(caller.lineage.step(caller.turn, caller.session), message)
                answer = SessionMessage(
                    id=new_id("msg"),
                    from_=caller.session,
                    to=message.from_,
                    content=text,
                    timestamp=now(),
                    read=False,
                    thread_id=message.thread_id,
                    reply_to=message.id,
                    lineage=lineage,
                )
                await self.store(answer, answered=message)

    async def turn_failed(self, caller: Caller, reason: str, *, final: bool) -> None:
        """A turn that messages started has failed; given up on, they are dead and senders told."""
        current = [self.get(message.id) for message in caller.triggered_by]
        if not final:
            for message in current:
                await self.mark([message], attempts=message.attempts + 1)
            return
        dead = await self.mark([m for m in current if not m.read], state="dead", reason=reason)
        for message in dead:
            await self.give_back(message, f"was not delivered to {message.to}: {reason}")

    async def give_back(self, message: SessionMessage, why: str) -> None:
        """Tell the sender of a message what became of it."""
        wait = self.waits.get(message.id)
        if wait is not None:
            wait.answer.set_exception(Refused("not_delivered", f"message {message.id} {why}"))
            return
        if message.from_ not in self._boxes or message.type == "notice":
            return
        lineage = message.lineage.step(message.id, message.to) if message.lineage else None
        notice = SessionMessage(
            id=new_id("msg"),
            from_=message.to,
            to=message.from_,
            content=f"Message {message.id} {why}",
            timestamp=now(),
            read=False,
            thread_id=message.thread_id,
            type="notice",
            lineage=lineage,
        )
        await self.store(notice)

    async def remove(self, owner: str, message_ids: Iterable[str]) -> None:
        """Take messages out of a mailbox and its file."""
        gone = set(message_ids)
        await self.box(owner).compact(lambda message: message.id not in gone)
        for message_id in gone:
            self._owners.pop(message_id, None)

    async def sweep(self) -> None:
        """Let messages expire whose time has passed, and tell their senders."""
        for box in list(self._boxes.values()):
            gone = [m for m in box.all() if m.waits and m.state == "stored" and expired(m)]
            for message in await self.mark(gone, state="expired", reason="its time to live passed"):
                await self.give_back(message, f"expired before {message.to} read it")

    def _question(self, caller: Caller, to: str) -> SessionMessage | None:
        asked = [m for m in caller.triggered_by if m.from_ == to]
        open_ones = [m for m in asked if self.waits.get(m.id)]
        shown = self.waits.shown(to, caller.session)
        candidates = open_ones or ([shown] if shown else asked)
        return candidates[-1] if candidates else None

    async def _answered(self, message: SessionMessage) -> None:
        current = self.get(message.id)
        if current.state in ("stored", "delivered", "read"):
            await self.mark(
                [current], state="answered", read=True, read_at=current.read_at or now()
            )
            self._bus.withdraw(current.to, current.id)


def expired(message: SessionMessage) -> bool:
    """Whether a message's time to live has passed."""
    if message.ttl_seconds is None:
        return False
    return seconds_of(now()) > seconds_of(message.timestamp) + message.ttl_seconds


def _as_answer(lineage: Lineage, question: SessionMessage) -> Lineage:
    """An answer comes back at the hop count of what it answers."""
    hops = question.lineage.hops if question.lineage else 0
    return msgspec.structs.replace(lineage, hops=hops)


def _trace(message: SessionMessage) -> str:
    return message.lineage.trace if message.lineage else ""
