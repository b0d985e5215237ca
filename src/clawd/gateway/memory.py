"""The routes of what sessions have noted."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clawd.agent.workbench import Workbench
from clawd.errors import NotFound
from clawd.gateway.house import House
from clawd.gateway.wire import json_response, listing, one, whole, word
from clawd.lineage import begin
from clawd.tools.memory.books import Books, path_of
from clawd.tools.memory.showing import listed, shown
from clawd.tools.memory.toolkit import Memory

MOST = 200


class MemoryRoutes:
    """What can be asked of notes, on the operator's word."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The routes of this noun."""
        at = "/api/sessions/{id}/memory"
        return [
            Route(at, self.find, methods=["GET"]),
            Route(f"{at}/reindex", self.reindex, methods=["POST"]),
            Route(f"{at}/{{note:path}}", self.show, methods=["GET"]),
            Route(f"{at}/{{note:path}}", self.forget, methods=["DELETE"]),
        ]

    async def find(self, request: Request) -> Response:
        """The notes that answer ``query``; without one, those changed last."""
        bench, query = self._bench(request), word(request, "query")
        limit = min(whole(request, "limit", 20) or 0, MOST)
        if query is not None:
            found, by_words = await self._books.search(bench, query, max(1, limit))
            items = [shown(each, query) for each in found]
            return json_response(
                {"schema": "clawd.memory/1", "items": items, "byWordsAlone": by_words, "next": None}
            )
        after = whole(request, "after", 0) or 0
        notes, count = await self._books.newest(bench, limit, after)
        further = str(after + len(notes)) if after + len(notes) < count and notes else None
        return listing("memory", [listed(note) for note in notes], further)

    async def show(self, request: Request) -> Response:
        """One note, whole, as its file has it now."""
        note = await self._books.show(self._bench(request), request.path_params["note"])
        fields = {
            "id": note.id,
            "path": path_of(note.id),
            "title": note.title,
            "tags": list(note.tags),
            "created": note.created,
            "updated": note.updated,
            "origin": "untrusted" if note.untrusted else "notes",
            "source": note.source or None,
            "text": note.text,
        }
        return one("note", fields)

    async def forget(self, request: Request) -> Response:
        """Move a note into the workspace's trash."""
        note = request.path_params["note"]
        kept = await self._books.forget(self._bench(request), note)
        return one("note", {"id": note, "forgotten": True, "trash": kept})

    async def reindex(self, request: Request) -> Response:
        """Make the index anew from the files."""
        return one("reindex", {"notes": await self._books.reindex(self._bench(request))})

    @property
    def _books(self) -> Books:
        part = self._house.part(Memory)
        if part is None:
            raise NotFound("unknown_route", "this daemon has no notes")
        return part.books

    def _bench(self, request: Request) -> Workbench:
        session = self._house.sessions.get(request.path_params["id"])
        caller = session.caller(begin("operator"))
        return session.toolsets.bench(caller)
