"""What becomes of messages: read, answered, given back, expired or held; and who is told so."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from clawd.comms.caller import Caller
from clawd.comms.checks import cut
from clawd.comms.guards import Guards
from clawd.comms.models import MessageType, SessionMessage
from clawd.comms.post import Post
from clawd.comms.waits import as_answer
from clawd.config.schema import Limits
from clawd.errors import ClawdError, Refused
from clawd.ids import new_id, now

log = logging.getLogger("clawd.messages")

MAX_DELIVERIES = 5
"""How often a turn that messages started is tried before they are dead."""


class Settling:
    """Brings messages to their final states. Whoever sent one is told when it comes to nothing.

    A sender is told before the state is written, and never twice: a daemon that dies between the
    two tells nobody a second time, and forgets nobody.
    """

    def __init__(
        self,
        post: Post,
        guards: Guards,
        later: Callable[[float, Callable[[], Awaitable[object]]], object],
        limits: Callable[[str], Limits],
    ) -> None:
        self._post = post
        self._limits = limits
        self._guards = guards
        self._later = later
        self._acknowledging: set[str] = set()
        post.has_a_time = self._expires

    async def turn_finished(self, caller: Caller, text: str) -> None:
        """A turn has ended well: what started it is read, and the requests in it are answered."""
        current = self._post.current(caller.triggered_by)
        await self._post.read(current)
        for message in current:
            if message.type != "request" or message.state == "answered":
                continue
            if self._reply_to(message) is not None:
                # Answered by a send whose daemon died before it was noted.
                await self._post.answered(message)
            elif text.strip() and self._post.has_box(message.from_):
                limit = self._limits(caller.session).max_message_bytes
                whole = f"the whole text is the last output of {caller.session}"
                answer = cut(text, limit, f"[clawd: cut at {limit} bytes; {whole}]")
                await self._post.store(_final_text(caller, message, answer))
            else:
                await self.give_back(
                    message, f"was read by {message.to}, whose turn ended without an answer"
                )

    async def turn_failed(self, caller: Caller, reason: str, *, final: bool) -> None:
        """A turn has failed: its messages wait for the next attempt, or are dead."""
        current = self._post.current(caller.triggered_by)
        if not final:
            for message in current:
                await self._post.mark([message], attempts=message.attempts + 1)
            return
        for message in current:
            if message.waits or self._post.waits.get(message.id):
                await self.give_back(message, f"was not delivered to {message.to}: {reason}")
        for message in self._post.current(current):
            if message.waits:
                attempts = message.attempts + 1
                await self._post.mark([message], state="dead", reason=reason, attempts=attempts)

    async def turn_cancelled(
        self, messages: Iterable[SessionMessage], answers: Iterable[SessionMessage], by: str
    ) -> None:
        """A turn was stopped for good: its messages are read, its requests stay unanswered."""
        for message in self._post.current(messages):
            if message.type == "request" and message.state != "answered":
                await self.give_back(message, f"has no answer: the turn was stopped by {by}")
        for group in (messages, answers):
            await self._post.read(group)

    async def acknowledge(
        self, caller: Caller, messages: Iterable[SessionMessage], note: str
    ) -> None:
        """They have been read; their senders find a receipt, once, and are not woken by it."""
        listed = list(messages)
        await self._post.read(listed)
        for message in self._post.current(listed):
            if message.note is not None or message.id in self._acknowledging:
                continue
            self._guards.rate(caller.lineage.step(caller.turn, caller.session), caller.session)
            self._acknowledging.add(message.id)
            try:
                await self._receipt(caller, message, note)
                await self._post.mark([message], note=note or "acknowledged")
            finally:
                self._acknowledging.discard(message.id)

    async def _receipt(self, caller: Caller, message: SessionMessage, note: str) -> None:
        if not self._post.has_box(message.from_) or message.from_daemon:
            return
        mail = self._post.box(message.from_).all()
        if any(m.reply_to == message.id and m.type == "receipt" for m in mail):
            return  # its mark was refused
        text = f"Message {message.id} was read" + (f": {note}" if note else ".")
        receipt = _about(message, "receipt", text)
        if receipt.lineage is not None and caller.lineage.untrusted:
            lineage = msgspec.structs.replace(receipt.lineage, untrusted=True)
            receipt = msgspec.structs.replace(receipt, lineage=lineage)
        await self._post.store(receipt)

    async def give_back(self, message: SessionMessage, why: str) -> None:
        """Tell the sender of a message what became of it; harmless when repeated."""
        text = f"Message {message.id} {why}"
        wait = self._post.waits.get(message.id)
        if wait is not None:
            wait.fail(Refused("not_answered", text, hint="ask another session, or again later"))
            return
        if message.from_daemon or message.type == "task_result":
            return
        if not self._post.has_box(message.from_) or self._told(message):
            return
        await self._post.store(_about(message, "notice", text))

    async def hold(self, owner: str, gone: str = "was removed") -> None:
        """A session goes: its mail is kept, and whoever sent it or waits for it is told."""
        why = f"is held: session {owner} {gone}"
        waiting = [m for m in self._post.box(owner).all() if m.waits and m.state != "held"]
        for message in waiting:
            await self.give_back(message, why)
        for wait in self._post.waits.of_target(owner):
            wait.fail(Refused("not_answered", f"Message {wait.question} {why}"))
        await self._post.mark(
            [m for m in self._post.current(waiting) if m.waits],
            state="held",
            reason=f"session {owner} {gone}",
        )

    def resume(self) -> None:
        """After a start: mail that expires later does so in time."""
        for box in self._post.boxes():
            for message in box.all():
                if message.waits and message.ttl_seconds is not None:
                    self._expires(message)

    async def sweep(self) -> None:
        """Let messages expire whose time has passed, and tell their senders.

        What the disk refuses is left to the next sweep.
        """
        for box in list(self._post.boxes()):
            for message in [m for m in box.all() if self._expires_now(m)]:
                try:
                    await self._expire(message.id)
                except ClawdError as error:
                    log.warning("%s does not expire yet: %s", message.id, error)

    def _expires(self, message: SessionMessage) -> None:
        left = (message.ttl_seconds or 0) - self._post.ages.of(message.id, message.timestamp)
        # A millisecond later than its time, for that is how exactly times are written.
        self._later(max(0.0, left) + 0.002, lambda: self._expire(message.id))

    async def _expire(self, message_id: str) -> None:
        message = self._post.find(message_id)
        if message is None or not self._expires_now(message):
            return
        await self.give_back(message, f"expired before {message.to} read it")
        await self._post.mark(
            [m for m in self._post.current([message]) if self._expires_now(m)],
            state="expired",
            reason="its time to live passed",
        )

    def _expires_now(self, message: SessionMessage) -> bool:
        return message.waits and message.state != "delivered" and self._post.expired(message)

    def _reply_to(self, message: SessionMessage) -> SessionMessage | None:
        if not self._post.has_box(message.from_):
            return None
        return next(
            (
                m
                for m in self._post.box(message.from_).all()
                if m.reply_to == message.id and not m.from_daemon
            ),
            None,
        )

    def _told(self, message: SessionMessage) -> bool:
        # Of a message that was requeued since, what was told before says nothing.
        since = message.delivered_at or message.timestamp
        return any(
            m.reply_to == message.id and m.type == "notice" and m.timestamp > since
            for m in self._post.box(message.from_).all()
        )


def _final_text(caller: Caller, question: SessionMessage, text: str) -> SessionMessage:
    return SessionMessage(
        id=new_id("msg"),
        from_=caller.session,
        to=question.from_,
        content=text,
        timestamp=now(),
        read=False,
        thread_id=question.thread_id,
        reply_to=question.id,
        lineage=as_answer(caller.lineage.step(caller.turn, caller.session), question),
    )


def _about(message: SessionMessage, kind: MessageType, text: str) -> SessionMessage:
    return SessionMessage(
        id=new_id("msg"),
        from_=message.to,
        to=message.from_,
        content=text,
        timestamp=now(),
        read=False,
        thread_id=message.thread_id,
        reply_to=message.id,
        type=kind,
        lineage=message.lineage.step(message.id, message.to) if message.lineage else None,
    )
