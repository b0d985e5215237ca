"""The routes of the daemon itself: status, configuration, providers, tools, stop."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.agent.toolset import unknown_tool
from clawd.comms.caller import operator
from clawd.config.output import redacted
from clawd.config.schema import ProviderTemplate
from clawd.errors import ClawdError, Invalid, NotFound
from clawd.gateway.grouping import group_of
from clawd.gateway.house import House
from clawd.gateway.wire import Fields, listing, one, read_body, word
from clawd.ids import OPERATOR
from clawd.ledger.account import Account
from clawd.lineage import begin
from clawd.llm.port import ChatRequest, Reply
from clawd.messages import user
from clawd.sessions.models import public_template
from clawd.tools.own.toolkit import OwnTools

MAX_DRAIN_SECONDS = 3600


class Calling(Fields):
    """A tool call on the operator's word, as a session."""

    session: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


class Pausing(Fields):
    """Which session; all when it is left out."""

    session: str | None = None


class Stopping(Fields):
    """How long running turns get."""

    drain_seconds: float = 0.0


class ControlRoutes:
    """What can be asked of the daemon."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of the daemon."""
        return [
            Route("/api/status", self.status, methods=["GET"]),
            Route("/api/config", self.config, methods=["GET"]),
            Route("/api/providers", self.providers, methods=["GET"]),
            Route("/api/providers/{id}/test", self.test_provider, methods=["POST"]),
            Route("/api/providers/{id}/confirm", self.confirm_provider, methods=["POST"]),
            Route("/api/tools", self.tools, methods=["GET"]),
            Route("/api/tools/{name}", self.call_tool, methods=["POST"]),
            Route("/api/pause", self.pause, methods=["POST"]),
            Route("/api/resume", self.resume, methods=["POST"]),
            Route("/api/stop", self.stop, methods=["POST"]),
        ]

    async def status(self, _: Request) -> Response:
        """How the daemon is."""
        return one("status", self._house.status())

    async def config(self, _: Request) -> Response:
        """The configuration in force, keys hidden."""
        return one("config", {"config": redacted(self._house.config)})

    async def providers(self, _: Request) -> Response:
        """The provider templates, and whether their keys resolve."""
        templates = self._house.config.provider_templates.values()
        return listing(
            "providers",
            [public_template(t) | {"key": self._house.models.key_state(t)} for t in templates],
        )

    async def test_provider(self, request: Request) -> Response:
        """One real call."""
        template = self._template(request)
        began = time.perf_counter()
        result: dict[str, Any] = {"ok": False, "model": template.default_model}
        try:
            account = Account(OPERATOR, own=True)
            model = await self._house.models.of(template, account)
            question = ChatRequest(
                model=template.default_model, messages=(user("Say hello."),), max_output_tokens=16
            )
            async for item in model.stream(question):
                if isinstance(item, Reply):
                    result["ok"] = True
        except ClawdError as error:
            result["error"] = error.as_json()
        result["milliseconds"] = round((time.perf_counter() - began) * 1000)
        return one("providerTest", result)

    async def confirm_provider(self, request: Request) -> Response:
        """Let a template whose endpoint was moved send its key there."""
        template = self._template(request)
        await self._house.models.confirm(template)
        key = self._house.models.key_state(template)
        return one("provider", public_template(template) | {"key": key})

    def _template(self, request: Request) -> ProviderTemplate:
        name = request.path_params["id"]
        template = self._house.config.provider_templates.get(name)
        if template is None:
            known = ", ".join(self._house.config.provider_templates)
            raise NotFound(
                "unknown_template",
                f"there is no provider template {name[:80]!a}",
                hint=f"templates: {known}",
            )
        return template

    async def tools(self, request: Request) -> Response:
        """The tools of a session (of the first one when none is named)."""
        session = word(request, "session")
        sessions = self._house.sessions.all()
        if session is None and not sessions:
            return listing("tools", [])
        chosen = self._house.sessions.get(session) if session else sessions[0]
        await chosen.toolsets.prepare(chosen.toolsets.bench(operator()))
        items = [
            tool.schema()["function"] | {"group": group_of(tool)}
            for tool in chosen.toolset(operator()).all()
        ]
        own = self._house.part(OwnTools)
        problems = own.problems(chosen.id) if own else []
        return one("tools", {"items": items, "problems": problems, "next": None})

    async def call_tool(self, request: Request) -> Response:
        """Run a tool as a session, on the operator's word."""
        body = await read_body(request, Calling)
        session = self._house.sessions.get(body.session)
        caller = session.caller(begin("operator"))
        await session.toolsets.prepare(session.toolsets.bench(caller))
        tools = session.toolset(caller)
        name = request.path_params["name"]
        if name not in tools.known():
            unknown = unknown_tool(name, tools.names())
            raise NotFound(unknown.code, unknown.message, hint=unknown.hint)
        tool = tools.get(name)
        try:
            answer = await tool.call(body.arguments)
        except ClawdError as error:
            return one("toolResult", {"ok": False, "result": error.as_json()})
        return one(
            "toolResult",
            {"ok": True, "result": answer.facts or {"text": answer.text}, "text": answer.text},
        )

    async def pause(self, request: Request) -> Response:
        """Let one session, or all, stand still; they do when the answer is sent."""
        body = await read_body(request, Pausing)
        session = self._house.sessions.get(body.session) if body.session else None
        turns = await self._house.sessions.pausing.pause(session)
        return one("pause", {"paused": True, "session": body.session, "turns": turns})

    async def resume(self, request: Request) -> Response:
        """Let one session, or all, go on."""
        body = await read_body(request, Pausing)
        session = self._house.sessions.get(body.session) if body.session else None
        going = await self._house.sessions.pausing.resume(session)
        return one("pause", {"paused": False, "session": body.session, "sessions": going})

    async def stop(self, request: Request) -> Response:
        """Begin to stop."""
        body = await read_body(request, Stopping)
        if not 0 <= body.drain_seconds <= MAX_DRAIN_SECONDS:
            raise Invalid(
                "invalid_body",
                f"drainSeconds must be from 0 to {MAX_DRAIN_SECONDS}, not {body.drain_seconds:g}",
            )
        self._house.stop(body.drain_seconds)
        return one("stopping", {"drainSeconds": body.drain_seconds}, 202)
