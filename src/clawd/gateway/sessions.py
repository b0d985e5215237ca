"""The routes of sessions."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.agent.context import tokens_of
from clawd.agent.tool import bind
from clawd.comms.caller import operator
from clawd.comms.session_tools import SessionTools
from clawd.config.output import redacted_session
from clawd.config.schema import SessionSettings, limits_for
from clawd.errors import Invalid
from clawd.gateway.house import House
from clawd.gateway.wire import Fields, listing, one, read_body, read_object, whole
from clawd.ids import OPERATOR
from clawd.lineage import Budget, begin
from clawd.llm.tokens import estimate
from clawd.messages import JSON
from clawd.sessions.records import MessageRecord
from clawd.sessions.session import Session


class Purse(Fields):
    """What all that a line leads to may use."""

    max_tokens: int | None = None
    max_cost: float | None = None


class Prompt(Fields):
    """A line of the operator."""

    text: str
    mode: Literal["queue", "steer", "interrupt"] = "queue"
    new: bool = False
    budget: Purse | None = None


class Cancel(Fields):
    """Which turn to stop; the running one when it is left out."""

    turn: str | None = None


class SessionRoutes:
    """What can be asked of sessions."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        at = "/api/sessions"
        return [
            Route(at, self.list_all, methods=["GET"]),
            Route(at, self.create, methods=["POST"]),
            Route(f"{at}/{{id}}", self.show, methods=["GET"]),
            Route(f"{at}/{{id}}", self.change, methods=["PATCH"]),
            Route(f"{at}/{{id}}", self.remove, methods=["DELETE"]),
            Route(f"{at}/{{id}}/prompt", self.prompt, methods=["POST"]),
            Route(f"{at}/{{id}}/cancel", self.cancel, methods=["POST"]),
            Route(f"{at}/{{id}}/reset", self.reset, methods=["POST"]),
            Route(f"{at}/{{id}}/restart", self.restart, methods=["POST"]),
            Route(f"{at}/{{id}}/compact", self.compact, methods=["POST"]),
            Route(f"{at}/{{id}}/transcript", self.transcript, methods=["GET"]),
            Route(f"{at}/{{id}}/context", self.context, methods=["GET"]),
            Route(f"{at}/{{id}}/config", self.entry, methods=["GET"]),
        ]

    async def list_all(self, _: Request) -> Response:
        """Every session."""
        return listing("sessions", [self._shown(session) for session in self._house.sessions.all()])

    async def show(self, request: Request) -> Response:
        """One session with its identity files, limits and tools."""
        session = self._session(request)
        identity = await session.identity()
        files = [
            {"file": f.name, "bytes": f.size} | ({"problem": f.problem} if f.problem else {})
            for f in identity.files
        ]
        limits = limits_for(self._house.config, session.settings).model_dump(
            by_alias=True, exclude_none=True
        )
        tools = session.toolset(operator()).names()
        return one(
            "session", self._shown(session) | {"identity": files, "limits": limits, "tools": tools}
        )

    async def create(self, request: Request) -> Response:
        """Create a session, as the operator: the tool of the sessions, called by a human."""
        given = await read_object(request)
        tool = bind(SessionTools(self._house.comms, operator()))["create_session"]
        answer = await tool.call({"name": given.get("session_id", "")} | given)
        created = (answer.facts or {})["id"]
        return one("session", self._shown(self._house.sessions.get(created)), 201)

    async def change(self, request: Request) -> Response:
        """Change a session at run time."""
        changes = await read_object(request)
        session = await self._house.sessions.change(request.path_params["id"], changes)
        return one("session", self._shown(session))

    async def remove(self, request: Request) -> Response:
        """Remove a session that was made at run time."""
        session = self._session(request)
        await self._house.sessions.remove(session.id)
        return one("session", {"id": session.id, "removed": True})

    async def prompt(self, request: Request) -> Response:
        """Accept a line; it is durable when the answer is sent."""
        session = self._session(request)
        body = await read_body(request, Prompt)
        budget = None
        if body.budget is not None:
            if body.mode == "steer":
                raise Invalid(
                    "invalid_body",
                    "a line that steers belongs to the turn that runs, and has no budget",
                    hint="leave out budget, or mode",
                )
            self._check_budget(session.settings, body.budget)
            budget = Budget(body.budget.max_tokens, body.budget.max_cost)
        if body.new:
            await session.reset()
        before = self._house.stream.seq
        lineage = begin("operator", budget)
        accepted = await session.prompt(body.text, body.mode, lineage=lineage)
        fields = {
            "turn": accepted.turn,
            "session": session.id,
            "state": accepted.state,
            "ahead": accepted.ahead,
            "paused": session.paused,
            "seq": before,
        }
        return one("turn", fields, 202)

    async def cancel(self, request: Request) -> Response:
        """Stop the running turn, or withdraw one that waits."""
        session = self._session(request)
        body = await read_body(request, Cancel)
        turn = await session.cancel(body.turn, by=OPERATOR)
        if turn is None:
            return one("cancelled", {"cancelled": False, "turn": None})
        text = {"text": turn.trigger.text} if turn.status == "queued" else {}
        return one("cancelled", {"cancelled": True, "turn": turn.id} | text)

    async def reset(self, request: Request) -> Response:
        """Begin another conversation."""
        return one("conversation", {"conversation": await self._session(request).reset()})

    async def restart(self, request: Request) -> Response:
        """Start the session anew; the way back of one that is parked."""
        session = self._session(request)
        return one("session", self._shown(await self._house.sessions.restart(session.id)))

    async def compact(self, request: Request) -> Response:
        """Summarise older history now."""
        before, after = await self._session(request).compact()
        return one("compacted", {"before": before, "after": after})

    async def transcript(self, request: Request) -> Response:
        """The current conversation."""
        transcript = self._session(request).transcript
        await transcript.recall()
        records = transcript.records()
        last = whole(request, "last")
        shown = records if last is None else records[-last:] if last else []
        return listing("transcript", [_line(record) for record in shown])

    async def context(self, request: Request) -> Response:
        """The next prompt by part, in tokens."""
        session = self._session(request)
        bench = session.toolsets.bench(operator())
        parts = [(name, estimate(text)) for name, text in await session.prompter.parts(bench)]
        tools = sum(
            estimate(bytes(tool.declaration.encoded).decode())
            for tool in session.toolset(operator()).all()
        )
        parts += [("tools", tools), ("history", session.transcript.tokens())]
        window = self._window(session)
        used = sum(tokens for _, tokens in parts)
        return one(
            "context",
            {
                "window": window,
                "threshold": session.settings.context.compression_threshold,
                "parts": [{"name": name, "tokens": tokens} for name, tokens in parts],
                "used": used,
                "free": max(0, window - used),
            },
        )

    async def entry(self, request: Request) -> Response:
        """The entry to paste into ``config.json``."""
        session = self._session(request)
        return one("adopt", {"id": session.id, "entry": redacted_session(session.settings)})

    def _session(self, request: Request) -> Session:
        return self._house.sessions.get(request.path_params["id"])

    def _window(self, session: Session) -> int:
        template = self._house.config.template_of(session.settings)
        return session.settings.context.max_tokens or template.context_window

    def _check_budget(self, settings: SessionSettings, budget: Purse) -> None:
        tokens, cost = budget.max_tokens, budget.max_cost
        if (tokens is not None and tokens <= 0) or (cost is not None and not 0 <= cost < 1e9):
            raise Invalid(
                "invalid_body",
                "a budget is more than 0 tokens, or an amount of USD",
                hint="see docs/budgets.md",
            )
        if cost is not None and not self._priced(settings):
            config = self._house.config
            raise Invalid(
                "price_unknown",
                f"the cost cannot be limited: {config.model_of(settings)} of "
                f"{config.template_of(settings).id}, or its fallback, has no price",
                hint="add prices to the template in config.json, or limit tokens",
            )

    def _priced(self, settings: SessionSettings) -> bool:
        """Whether the cost of every model that may answer is known."""
        config = self._house.config
        asked = [(config.template_of(settings), config.model_of(settings))]
        fallback = config.provider_templates.get(config.fallback_of(settings) or "")
        if fallback is not None:
            asked.append((fallback, fallback.default_model))
        return all(template.is_offline or model in template.prices for template, model in asked)

    def _shown(self, session: Session) -> JSON:
        settings, transcript = session.settings, session.transcript
        config, comms = self._house.config, self._house.comms
        running = session.running
        turn = None
        if running is not None:
            turn = {
                "id": running.id,
                "trigger": running.trigger.kind,
                "source": running.trigger.source,
                "since": session.since,
            }
        return {
            "id": session.id,
            "name": settings.name,
            "description": settings.description,
            "role": settings.role,
            "capabilities": list(settings.capabilities),
            "status": self._house.sessions.status(session.id),
            "template": config.template_of(settings).id,
            "model": config.model_of(settings),
            "priced": self._priced(settings),
            "unread": comms.post.box(session.id).unread(),
            "openTasks": len(comms.board.open_for(worker=session.id)),
            "queue": session.queue(),
            "tokens": {"used": session.tokens(), "window": self._window(session)},
            "usage": self._house.ledger.totals.session(session.id),
            "lastActivity": transcript.last_activity or None,
            "hidden": settings.a2a.hidden_from_agents,
            "a2a": settings.a2a.enabled,
            "encrypted": settings.a2a.encrypt,
            "organization": settings.a2a.organization,
            "workspace": str(session.workspace),
            "createdBy": session.created_by,
            "turn": turn,
            "failed": session.failed or None,
        }


def _line(record: MessageRecord) -> JSON:
    return {
        "id": record.id,
        "turn": record.turn,
        "conversation": record.conversation,
        "time": record.time,
        "trigger": record.trigger,
        "message": record.message,
        "tokens": tokens_of(record.message),
    }
