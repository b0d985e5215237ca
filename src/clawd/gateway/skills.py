"""The routes of skills: what a session is offered, and what is wrong with the rest."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.errors import NotFound
from clawd.gateway.house import House
from clawd.gateway.wire import json_response, one, word
from clawd.messages import JSON
from clawd.nearest import nearest
from clawd.sessions.session import Session
from clawd.tools.skills.offer import Offer
from clawd.tools.skills.skill import Skill
from clawd.tools.skills.toolkit import Skills


class SkillRoutes:
    """What can be asked of skills."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        return [
            Route("/api/skills", self.list_all, methods=["GET"]),
            Route("/api/skills/{name}", self.show, methods=["GET"]),
        ]

    async def list_all(self, request: Request) -> Response:
        """The skills of a session (of the first one when none is named)."""
        found = await self._offer(request)
        body = {
            "schema": "clawd.skills/1",
            "items": [_shown(skill) for skill in found.skills.values()],
            "problems": list(found.problems),
            "clashes": list(found.clashes),
            "next": None,
        }
        return json_response(body)

    async def show(self, request: Request) -> Response:
        """One skill with its files and its text."""
        found, name = await self._offer(request), request.path_params["name"]
        skill = found.skills.get(name)
        if skill is None:
            near = nearest(name, found.skills)
            raise NotFound(
                "skill_not_found",
                f"the session has no skill {name[:80]!a}",
                hint=f"did you mean {near}?" if near else "clawd skills list shows them",
            )
        text, files = await asyncio.to_thread(lambda: (skill.body(), list(skill.files())))
        header = skill.header
        more = {
            "license": header.license,
            "compatibility": header.compatibility,
            "allowedTools": header.allowed_tools,
            "metadata": dict(header.metadata),
            "files": files,
            "text": text.text,
        }
        return one("skill", _shown(skill) | more)

    async def _offer(self, request: Request) -> Offer:
        part, session = self._house.part(Skills), self._session(request)
        if part is None or session is None:
            return Offer({})
        return await part.offered(session.id, session.workspace, session.settings.skills)

    def _session(self, request: Request) -> Session | None:
        named, sessions = word(request, "session"), self._house.sessions
        if named is not None:
            return sessions.get(named)
        return next(iter(sessions.all()), None)


def _shown(skill: Skill) -> JSON:
    return {
        "name": skill.name,
        "description": skill.header.description,
        "where": skill.where,
        "folder": str(skill.folder),
        "untrusted": skill.untrusted,
        "loose": list(skill.header.loose),
    }
