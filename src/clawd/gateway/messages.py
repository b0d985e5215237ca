"""The routes of messages."""

from __future__ import annotations

from typing import get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.comms.caller import Caller, operator
from clawd.comms.checks import check_priority
from clawd.comms.manager import matching
from clawd.comms.models import MessageState, SessionMessage, public
from clawd.errors import Refused
from clawd.gateway.house import House
from clawd.gateway.wire import Fields, choice, flag, listing, one, read_body, whole, word
from clawd.ids import OPERATOR, now, seconds_of
from clawd.lineage import begin
from clawd.tools.schedule.kit import Schedules


class Sending(Fields):
    """A message to send, from the operator unless it says otherwise."""

    to: str
    content: str
    from_: str = msgspec.field(default=OPERATOR, name="from")
    thread_id: str | None = None
    priority: int = 5
    ttl_seconds: float | None = None
    reply_to: str | None = None
    wait_seconds: float = 0


class Reading(Fields):
    """What has been read: by ids, or a mailbox, or a thread of it."""

    ids: list[str] = msgspec.field(default_factory=list)
    session: str | None = None
    thread: str | None = None


class Naming(Fields):
    """One message."""

    id: str


class Pruning(Fields):
    """Which read messages to remove."""

    session: str | None = None
    thread: str | None = None
    older_than_seconds: float = 0
    dry_run: bool = False


class Compacting(Fields):
    """Which mailbox to rewrite; all when it is left out."""

    session: str | None = None


class MessageRoutes:
    """What can be asked of messages."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        at = "/api/messages"
        return [
            Route(at, self.list_some, methods=["GET"]),
            Route(at, self.send, methods=["POST"]),
            Route(f"{at}/read", self.read, methods=["POST"]),
            Route(f"{at}/requeue", self.requeue, methods=["POST"]),
            Route(f"{at}/prune", self.prune, methods=["POST"]),
            Route(f"{at}/compact", self.compact, methods=["POST"]),
            Route(f"{at}/{{id}}", self.show, methods=["GET"]),
        ]

    async def list_some(self, request: Request) -> Response:
        """The messages of a mailbox (``*``: of all), filtered, oldest first."""
        found = matching(
            sorted(
                self._messages(word(request, "session") or OPERATOR), key=lambda message: message.id
            ),
            unread=flag(request, "unread"),
            thread=word(request, "thread"),
            sender=word(request, "from"),
            state=choice(request, "state", get_args(MessageState)),
            query=word(request, "query"),
            before=word(request, "before"),
            limit=whole(request, "limit", 200),
        )
        return listing("messages", [public(message) for message in found])

    async def show(self, request: Request) -> Response:
        """One message."""
        return one("message", public(self._house.comms.post.get(request.path_params["id"])))

    async def send(self, request: Request) -> Response:
        """Send a message; durable when the answer is sent."""
        body = await read_body(request, Sending)
        check_priority(body.priority)
        caller = (
            operator()
            if body.from_ == OPERATOR
            else Caller(self._known(body.from_), begin("operator"))
        )
        post = self._house.comms.post
        options = {
            "thread": body.thread_id,
            "priority": body.priority,
            "ttl": body.ttl_seconds,
            "reply_to": body.reply_to,
        }
        if not body.wait_seconds:
            sent = await post.send(caller, body.to, body.content, **options)  # type: ignore[arg-type]
            return one("message", public(sent) | self._house.comms.standing(sent.to), 201)
        sent, reply = await post.ask(caller, body.to, body.content, body.wait_seconds, **options)
        answer = public(post.get(reply.id)) if reply is not None else None
        return one("message", public(post.get(sent.id)) | {"answer": answer}, 201)

    async def read(self, request: Request) -> Response:
        """Mark messages as read."""
        body = await read_body(request, Reading)
        post = self._house.comms.post
        if body.ids:
            found = [post.get(message_id) for message_id in body.ids]
        else:
            found = matching(
                self._messages(body.session or OPERATOR), unread=True, thread=body.thread
            )
        count = 0
        for owner in dict.fromkeys(message.to for message in found):
            count += len(await post.read([message for message in found if message.to == owner]))
        return one("read", {"read": count})

    async def requeue(self, request: Request) -> Response:
        """Try a dead, expired or held message again."""
        post = self._house.comms.post
        message = post.get((await read_body(request, Naming)).id)
        if message.state not in ("dead", "expired", "held"):
            raise Refused(
                "not_dead",
                f"message {message.id} is {message.state}",
                hint="only dead, expired or held ones wait for this",
            )
        (changed,) = await post.mark(
            [message], state="stored", attempts=0, reason=None, ttl_seconds=None
        )
        post.wake(changed)
        return one("message", public(changed))

    async def prune(self, request: Request) -> Response:
        """Remove read messages, by thread or age."""
        body = await read_body(request, Pruning)
        before = seconds_of(now()) - body.older_than_seconds
        comms = self._house.comms

        def goes(message: SessionMessage) -> bool:
            return (
                message.read
                and body.thread in (None, message.thread_id)
                and seconds_of(message.timestamp) <= before
                # The verdict of a task is kept as long as the task: it must never be told twice.
                and (message.type != "task_result" or comms.board.find(message.thread_id) is None)
            )

        removed = 0
        for owner in self._owners(body.session):
            box = comms.post.box(owner)
            gone = [message.id for message in box.all() if goes(message)]
            removed += len(gone)
            if gone and not body.dry_run:
                await comms.post.remove(owner, gone)
        return one("pruned", {"removed": removed, "dryRun": body.dry_run})

    async def compact(self, request: Request) -> Response:
        """Rewrite mailboxes with one line a message."""
        body = await read_body(request, Compacting)
        before = after = 0
        for owner in self._owners(body.session):
            sizes = await self._house.comms.post.box(owner).compact()
            before, after = before + sizes[0], after + sizes[1]
            session = self._house.sessions.find(owner)
            if session is not None:
                await session.transcript.reseal()
            if (schedules := self._house.part(Schedules)) is not None:
                await schedules.reseal(owner)
        return one("compacted", {"before": before, "after": after})

    def _owners(self, session: str | None) -> list[str]:
        if session in (None, "*"):
            return [box.owner for box in self._house.comms.post.boxes()]
        return [self._known(str(session))]

    def _messages(self, session: str) -> list[SessionMessage]:
        return [
            message
            for owner in self._owners(session)
            for message in self._house.comms.post.box(owner).all()
        ]

    def _known(self, session: str) -> str:
        if session != OPERATOR:
            self._house.sessions.get(session)
        return session
