"""From envelopes to turns: what a request asks for, unless it has been had already."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from clawd.bus.port import Envelope, Inbox
from clawd.comms.models import MAX_TOGETHER, SessionMessage, fitting
from clawd.errors import StorageError
from clawd.ids import new_id, now
from clawd.sessions.records import Trigger, TurnRecord
from clawd.sessions.retrying import FULL_SECONDS
from clawd.sessions.services import Services
from clawd.sessions.transcript import Transcript


class Intake:
    """Makes one session's turns of what its inbox holds."""

    def __init__(
        self, session: str, inbox: Inbox, transcript: Transcript, services: Services
    ) -> None:
        self._session = session
        self._inbox = inbox
        self._transcript = transcript
        self._services = services

    async def turn_for(self, envelope: Envelope) -> TurnRecord | None:
        """The turn that an envelope asks for; ``None`` when it has been had already."""
        if envelope.kind == "turn" or envelope.kind == "schedule":
            return self._transcript.turns.get(envelope.id)
        claimed = {i for turn in self._transcript.turns.values() for i in turn.trigger.ids}
        if envelope.kind == "task":
            comms = self._services.comms
            task = comms.board.find(envelope.id)
            source = task.from_session if task else ""
            # A turn that a restart left open may have ended since, with parts of its task open.
            had = envelope.id in claimed or (
                task is not None and comms.tasks.verdicts.awaited(task)
            )
            ids: tuple[str, ...] = () if had else (envelope.id,)
        else:
            waiting = await self._messages(envelope, claimed)
            ids = tuple(m.id for m in waiting)
            source = ", ".join(dict.fromkeys(m.from_ for m in waiting))
        if not ids:
            return None
        trigger = Trigger(envelope.kind, source, ids)
        return TurnRecord(
            id=new_id("turn"),
            conversation=self._transcript.conversation,
            time=now(),
            status="queued",
            trigger=trigger,
            lineage=replace(envelope.lineage, parent=ids[0]),
        )

    async def _messages(self, first: Envelope, claimed: set[str]) -> list[SessionMessage]:
        """The waiting messages that enter a turn together, in order."""
        post = self._services.comms.post
        box = post.box(self._session)
        envelopes = (first, *self._together(first))
        found = [box.get(e.id) for e in envelopes if e.id not in claimed]
        # An answer that a wait got, in a turn whose end the daemon did not live to see.
        given = [m for m in found if m and m.state == "delivered"]
        try:
            if given:
                await self._transcript.recall()
            seen = [m for m in given if self._has_seen(m.id)]
            await post.read(seen)
        except StorageError:
            self._ask_again(envelopes)
            return []
        waiting = sorted(
            (
                m
                for m in found
                # The right to wake may have been taken back while it waited here.
                if m and m not in seen and m.waits and not post.expired(m) and post.may_wake(m)
            ),
            key=lambda m: (-m.priority, m.id),
        )
        count = fitting(waiting, MAX_TOGETHER)
        for message in waiting[count:]:
            post.wake(message)
        return waiting[:count]

    def _ask_again(self, envelopes: Iterable[Envelope]) -> None:
        async def publish() -> None:
            for envelope in envelopes:
                self._services.bus.publish(envelope)

        self._services.clock.later(FULL_SECONDS, publish)

    def _has_seen(self, message_id: str) -> bool:
        said = (record.message for record in self._transcript.records())
        return any(m.role == "tool" and message_id in (m.content or "") for m in said)

    def _together(self, first: Envelope) -> list[Envelope]:
        """The other waiting messages of this trace, but for those that continue another task."""
        verdicts = self._services.comms.tasks.verdicts
        box = self._services.comms.post.box(self._session)

        def continued(envelope: Envelope) -> str:
            message = box.get(envelope.id)
            task = verdicts.continued(message) if message is not None else None
            return task.id if task is not None else ""

        own, same = continued(first), []
        for envelope in self._inbox.take_all("message", first.lineage.trace):
            if continued(envelope) == own:
                same.append(envelope)
            else:
                self._services.bus.publish(envelope)
        return same
