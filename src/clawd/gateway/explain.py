"""The route that explains what one session may do to another."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.config.problem import dotted
from clawd.config.schema import SessionSettings, limits_for
from clawd.errors import Invalid
from clawd.gateway.house import House
from clawd.gateway.wire import one, word
from clawd.ids import OPERATOR
from clawd.messages import JSON
from clawd.sessions.explanation import Explained, explain


class ExplainRoutes:
    """What can be asked of rights."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        return [Route("/api/explain", self.explain, methods=["GET"])]

    async def explain(self, request: Request) -> Response:
        """Each right of one over another, and what decides it."""
        names = {"from": word(request, "from"), "to": word(request, "to")}
        for name, value in names.items():
            if value is None:
                raise Invalid(
                    "invalid_query", f"{name} is missing", hint="/api/explain?from=A&to=B"
                )
        viewer, target = (self._settings(str(name)) for name in names.values())
        if names["from"] == names["to"]:
            raise Invalid(
                "same_session", "these are one and the same", hint="name two different ones"
            )
        found = explain(self._house.comms.directory, viewer, target)
        lines = await self._house.lines_of({each.path for each in found if each.path})
        shown = [_shown(each, lines.get(each.path)) for each in found]
        return one("explain", {**names, "rights": shown, "limits": self._limits(viewer, target)})

    def _settings(self, name: str) -> SessionSettings | None:
        return None if name == OPERATOR else self._house.sessions.get(name).settings

    def _limits(self, viewer: SessionSettings | None, target: SessionSettings | None) -> list[JSON]:
        """How full the counts are that a send or a delegation comes up against."""
        comms, found = self._house.comms, []
        if target is not None:
            limits = limits_for(self._house.config, target)
            unread, given = (
                comms.post.box(target.id).unread(),
                comms.board.open_for(worker=target.id),
            )
            found += [
                ("maxUnread", target.id, unread, limits.max_unread),
                ("maxTasksAssigned", target.id, len(given), limits.max_tasks_assigned),
            ]
        if viewer is not None:
            limits = limits_for(self._house.config, viewer)
            made = len(comms.board.open_for(creator=viewer.id))
            found.append(("maxTasksCreated", viewer.id, made, limits.max_tasks_created))
        keys = ("limit", "session", "value", "of")
        return [dict(zip(keys, each, strict=True)) for each in found]


def _shown(each: Explained, line: int | None) -> JSON:
    return {
        "right": each.right,
        "allowed": each.allowed,
        "why": each.why,
        "path": dotted(each.path) or None,
        "line": line,
    }
