"""The tools that were accepted, by session and server; durable."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from clawd.ids import now
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer
from clawd.tools.mcp.offers import Shown
from clawd.tools.mcp.records import FILE_NAME, SeenTool, tool_id


class Known:
    """What was seen of every server."""

    def __init__(self, state: Path, writer: Writer) -> None:
        self._log = Log[SeenTool](state / FILE_NAME, SeenTool, writer)
        self._records: dict[str, SeenTool] = {}

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words. ``StorageError`` as a log."""
        loaded = self._log.load()
        self._records = loaded.records
        return [str(problem) for problem in loaded.problems]

    def accepted(self, session: str, server: str, origin: str) -> dict[str, SeenTool] | None:
        """The accepted tools by name; None when this server was never seen."""
        own = self._records.get(tool_id(session, server))
        if own is None or own.origin != origin:
            return None
        return {
            record.tool: record
            for record in self._records.values()
            if record.tool
            and (record.session, record.server, record.origin) == (session, server, origin)
        }

    async def accept(
        self, session: str, server: str, origin: str, shown: Iterable[Shown], by: str = ""
    ) -> None:
        """These tools may be offered from now on; durable when this returns."""
        time = now()
        new = [
            SeenTool(
                id=tool_id(session, server),
                session=session,
                server=server,
                origin=origin,
                time=time,
            ),
            *(
                SeenTool(
                    id=tool_id(session, server, each.tool),
                    session=session,
                    server=server,
                    origin=origin,
                    time=time,
                    tool=each.tool,
                    fingerprint=each.fingerprint,
                    description=each.description,
                    parameters=each.parameters,
                    by=by,
                )
                for each in shown
            ),
        ]
        stored = await self._log.append(*new)
        self._records |= {record.id: record for record in stored}
        if self._log.wasteful(len(self._records)):
            await self._log.compact()
