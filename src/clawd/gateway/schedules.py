"""The routes of schedules."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.errors import NotFound
from clawd.gateway.house import House
from clawd.gateway.wire import Fields, listing, one, read_body, word
from clawd.messages import JSON
from clawd.tools.schedule.changes import Wish
from clawd.tools.schedule.kit import Schedules
from clawd.tools.schedule.records import Schedule, public


class Asked(Fields, kw_only=True):
    """What is asked of a schedule; what is left out stays as it is, or has its default."""

    text: str | None = None
    once: str | None = None
    every: str | None = None
    cron: str | None = None
    zone: str | None = None
    missed: str | None = None
    heartbeat: bool | None = None

    def wish(self) -> Wish:
        """The same for those who keep schedules."""
        fields = {name: getattr(self, name) for name in Asked.__struct_fields__}
        return Wish(**fields)


class Creation(Asked, kw_only=True):
    """A schedule for one session."""

    session: str


class ScheduleRoutes:
    """What can be asked of schedules."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun; ``?session=`` names whose schedule it is."""
        at = "/api/schedules"
        return [
            Route(at, self.list_all, methods=["GET"]),
            Route(at, self.create, methods=["POST"]),
            Route(f"{at}/{{id}}", self.show, methods=["GET"]),
            Route(f"{at}/{{id}}", self.change, methods=["PATCH"]),
            Route(f"{at}/{{id}}", self.delete, methods=["DELETE"]),
            Route(f"{at}/{{id}}/pause", self.pause, methods=["POST"]),
            Route(f"{at}/{{id}}/resume", self.resume, methods=["POST"]),
            Route(f"{at}/{{id}}/run", self.run, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        """Every schedule, or those of one session."""
        session = word(request, "session")
        if session is not None:
            self._house.sessions.get(session)
        found = await self._schedules.all(session)
        return listing("schedules", [public(name, schedule) for name, schedule in found])

    async def create(self, request: Request) -> Response:
        """Make one, as the operator."""
        body = await read_body(request, Creation)
        self._house.sessions.get(body.session)
        made = await self._schedules.create(
            body.session,
            body.text or "",
            once=body.once,
            every=body.every,
            cron=body.cron,
            zone=body.zone,
            missed=body.missed,
            heartbeat=bool(body.heartbeat),
        )
        return self._one(body.session, made, 201)

    async def show(self, request: Request) -> Response:
        """One schedule."""
        return self._one(*await self._found(request))

    async def change(self, request: Request) -> Response:
        """Change one."""
        session, schedule = await self._found(request)
        body = await read_body(request, Asked)
        return self._one(session, await self._schedules.update(session, schedule.id, body.wish()))

    async def delete(self, request: Request) -> Response:
        """Take one away."""
        session, schedule = await self._found(request)
        await self._schedules.delete(session, schedule.id)
        return one("schedule", {"id": schedule.id, "session": session, "deleted": True})

    async def pause(self, request: Request) -> Response:
        """Let one stand still."""
        return await self._paused(request, paused=True)

    async def resume(self, request: Request) -> Response:
        """Let one go on from its next time."""
        return await self._paused(request, paused=False)

    async def run(self, request: Request) -> Response:
        """Begin a run now; its turn's id."""
        session, schedule = await self._found(request)
        before: JSON = {"seq": self._house.stream.seq}
        run = await self._schedules.run(session, schedule.id)
        fields: JSON = {"id": schedule.id, "session": session, **msgspec.to_builtins(run)}
        return one("run", fields | before, 202)

    @property
    def _schedules(self) -> Schedules:
        part = self._house.part(Schedules)
        if part is None:
            raise NotFound("unknown_route", "this daemon has no schedules")
        return part

    async def _found(self, request: Request) -> tuple[str, Schedule]:
        session = word(request, "session")
        if session is not None:
            self._house.sessions.get(session)
        return await self._schedules.find(request.path_params["id"], session)

    async def _paused(self, request: Request, *, paused: bool) -> Response:
        session, schedule = await self._found(request)
        changed = await self._schedules.update(session, schedule.id, Wish(paused=paused))
        return self._one(session, changed)

    def _one(self, session: str, schedule: Schedule, status: int = 200) -> Response:
        return one("schedule", public(session, schedule), status)
