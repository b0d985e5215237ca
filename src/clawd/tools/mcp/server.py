"""A server of a session: kept running, with growing pauses, and parked when that leads nowhere."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from clawd.agent.tool import Answer
from clawd.config.mcp import McpServer
from clawd.errors import ClawdError, NotFound, Refused
from clawd.messages import JSON
from clawd.tools.mcp.known import Known
from clawd.tools.mcp.launch import origin_of, plan
from clawd.tools.mcp.limits import Timing
from clawd.tools.mcp.offers import Listed, Offer, Shown, held, offers
from clawd.tools.mcp.problems import EXTRA, ServerProblem
from clawd.tools.mcp.records import SeenTool

log = logging.getLogger("clawd.mcp")

NO_WORD_OF_IT = ("mcp_unavailable", "mcp_tool_held")
"""Codes of refusals in which a server has no say."""

State = Literal["starting", "ready", "waiting", "parked", "stopped"]


class Answering(Protocol):
    """A server that answers (``connection.Connection``)."""

    protocol: str
    title: str

    async def call(self, server: str, tool: str, arguments: JSON) -> Answer:
        """Call a tool."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all servers of a daemon share."""

    home: Path
    environ: Mapping[str, str]
    known: Known
    notice: Callable[[str, str, str, str], object]
    """Told of something: session, code, text, level."""
    others: Callable[[str], Sequence[Path]]
    """The workspaces of all sessions but this."""
    installed: Callable[[], bool]
    """Whether the package is there that talks to servers."""
    timing: Timing


class Server:
    """One server of one session; ``run`` keeps it, everything else only looks or asks."""

    def __init__(
        self, session: str, name: str, settings: McpServer, workspace: Path, around: Surroundings
    ) -> None:
        self.session = session
        self.name = name
        self.settings = settings
        self.workspace = workspace
        self.state: State = "starting"
        self.reason = ""
        """Why it is not there, "" when it is."""
        self.offers: list[Offer] = []
        self.restarts = 0
        self.connection: Answering | None = None
        self.stopped = asyncio.Event()
        self._around = around
        self._origin = origin_of(settings)
        self._listed: list[Listed] = []
        self._failures: deque[float] = deque(maxlen=around.timing.failures)
        self._in_a_row = 0
        self._pauses = 0
        self._since = 0.0
        self._told = ""
        self._legacy = False
        self._ending = False
        self._again = False
        self._stop: Callable[[], None] = lambda: None
        self._first = asyncio.Event()
        self._up = asyncio.Event()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Keep it running until ``end``."""
        try:
            while not self._ending:
                self._again = False
                self._wake.clear()
                await self._once()
                if not self._ending and not self._again:
                    await self._pause()
        finally:
            self._down("stopped")
            self.stopped.set()

    def end(self) -> None:
        """Let it go; ``stopped`` is set when nothing of it is left."""
        self._ending = True
        self._stop()
        self._wake.set()

    def restart(self) -> None:
        """Start it anew, also when it is parked; what failed before is forgotten."""
        self._again = True
        self._failures.clear()
        self._in_a_row = self._pauses = 0
        self._told = ""
        self._first.clear()
        self.state, self.reason = "starting", ""
        self._stop()
        self._wake.set()

    async def tried(self) -> None:
        """Wait until it is there, or has failed for the first time."""
        await self._first.wait()

    async def call(self, offer: Offer, arguments: JSON) -> Answer:
        """Call a tool that was offered; ``Refused`` when it, or the server, is not there now."""
        connection = await self._answering()
        now = next((each for each in self.offers if each.name == offer.name), None)
        if now is None or now.state != "offered" or now.shown != offer.shown:
            raise Refused(
                "mcp_tool_held",
                f"{offer.name} is not as it was: the server changed it, or took it away",
                hint="your human can look at it: clawd mcp list",
            )
        try:
            return await connection.call(self.name, offer.shown.tool, arguments)
        except Refused as refused:
            if (
                refused.code in NO_WORD_OF_IT
                and self.connection is connection
                and self.settings.url is None
            ):
                # It is gone, though its owner may not know yet: the next call waits for another.
                # At an address, one answer can be lost and the next one come.
                self.connection = None
                self._up.clear()
            raise

    def accepted(self) -> dict[str, SeenTool]:
        """Its tools as they were accepted."""
        return self._around.known.accepted(self.session, self.name, self._origin) or {}

    async def approve(self, wanted: Mapping[str, str]) -> list[Shown]:
        """Offer these held tools from now on: fingerprints by name, as the human was shown them.

        ``NotFound`` when one of them is not held, ``Refused`` when it has changed again.
        """
        chosen: list[Shown] = []
        for name, fingerprint in wanted.items():
            offer = next((each for each in self.offers if each.name == name), None)
            if offer is None or offer.state != "held":
                waiting = ", ".join(o.name for o in self.offers if o.state == "held")
                raise NotFound(
                    "mcp_not_held",
                    f"no tool {name[:80]!a} is held",
                    hint=f"held: {waiting or 'none'}",
                )
            if offer.shown.fingerprint != fingerprint:
                raise Refused(
                    "mcp_changed_again",
                    f"{name} has changed again",
                    hint="look once more: clawd mcp list",
                )
            chosen.append(offer.shown)
        known = self._around.known
        await known.accept(self.session, self.name, self._origin, chosen, by="operator")
        accepted = known.accepted(self.session, self.name, self._origin)
        self.offers = [held(offer, accepted) for offer in self.offers]
        return chosen

    async def _once(self) -> None:
        """Have it once, from its start to its end."""
        self.state = "starting"
        try:
            if not self._around.installed():
                raise ServerProblem(f"MCP needs a package that is not there: {EXTRA}")
            around = self._around
            others = around.others(self.session)
            todo = await asyncio.to_thread(
                plan, self.settings, self.workspace, around.home, around.environ, others
            )
            # The package takes a third of a second to load: not before the first server needs it.
            module = await asyncio.to_thread(importlib.import_module, f"{__package__}.connection")
            if not self._ending:
                await module.connect(
                    module.Opening(
                        todo,
                        around.timing.start,
                        self._legacy,
                        self._ready,
                        self._changed,
                        self._stopped_by,
                    )
                )
        except ServerProblem as problem:
            self._failed(str(problem))
        except ClawdError as error:
            self._failed(error.message)
        finally:
            self._stop = lambda: None

    def _stopped_by(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    async def _ready(self, connection: Answering, listed: list[Listed]) -> None:
        await self._take(listed)
        self.connection = connection
        self.state, self.reason = "ready", ""
        self._in_a_row = 0
        self._since = time.monotonic()
        self._up.set()
        self._first.set()
        if self._told:
            self._told = ""
            self._tell("mcp_back", f"MCP server {self.name} is back", "info")

    async def _changed(self, connection: Answering, listed: list[Listed]) -> None:
        if listed != self._listed:
            await self._take(listed)
        # Who lists its tools is there, whatever a call took for its end.
        self.connection = connection
        self._up.set()

    async def _take(self, listed: list[Listed]) -> None:
        """Take a list of tools; the first list of a server is accepted, for it was configured."""
        known = self._around.known
        accepted = known.accepted(self.session, self.name, self._origin)
        found = await asyncio.to_thread(offers, self.name, self.settings, listed, accepted)
        if accepted is None:
            shown = [offer.shown for offer in found if offer.state == "offered"]
            await known.accept(self.session, self.name, self._origin, shown)
            text = f"MCP server {self.name}: {len(shown)} tools, accepted as it was configured"
            self._tell("mcp_first_seen", text, "info")
        before = {(each.shown.tool, each.shown.fingerprint, each.state) for each in self.offers}
        self._listed, self.offers = listed, found
        new = [o for o in found if (o.shown.tool, o.shown.fingerprint, o.state) not in before]
        if waiting := [offer.shown.tool for offer in new if offer.state == "held"]:
            text = f"MCP server {self.name} changed its tools; held: {_some(waiting)}"
            self._tell("mcp_tools_held", f"{text}; see: clawd mcp list", "warning")
        if refused := [offer for offer in new if offer.state == "refused"]:
            names = [f"{offer.shown.tool[:40]!a} ({offer.reason})" for offer in refused]
            text = f"MCP server {self.name}: tools that cannot be used: {_some(names)}"
            self._tell("mcp_tools_refused", text, "warning")

    def _failed(self, reason: str) -> None:
        if self._ending or self._again:
            return
        was_ready, timing = self.state == "ready", self._around.timing
        now = time.monotonic()
        self._failures.append(now)
        self._in_a_row += 0 if was_ready else 1
        steady = was_ready and now - self._since >= timing.window
        self._pauses = 1 if steady else self._pauses + 1
        self._legacy = not self._legacy and not was_ready
        many = len(self._failures) == timing.failures and now - self._failures[0] < timing.window
        hopeless = not self._around.installed() or (
            # An address out of reach may be reached again; a command that fails will fail again.
            self.settings.url is None and (many or self._in_a_row >= timing.starts)
        )
        self._down("parked" if hopeless else "waiting", reason)
        text = f"MCP server {self.name}: {reason}"
        if hopeless:
            mend = f"; it is parked until: clawd mcp restart {self.name}"
            self._tell("mcp_parked", text + mend, "error")
        elif self._told != reason:
            self._tell("mcp_failed", text, "warning")
        self._told = reason

    def _down(self, state: State, reason: str = "") -> None:
        self.state, self.reason, self.connection = state, reason, None
        self._up.clear()
        self._first.set()

    async def _pause(self) -> None:
        timing = self._around.timing
        pause = min(timing.pause * 4.0 ** min(self._pauses - 1, 10), timing.longest_pause)
        try:
            async with asyncio.timeout(None if self.state == "parked" else pause):
                await self._wake.wait()
        except TimeoutError:
            self.restarts += 1

    async def _answering(self) -> Answering:
        if self.state != "parked" and self.connection is None:
            try:
                async with asyncio.timeout(self._around.timing.back):
                    await self._up.wait()
            except TimeoutError:
                pass  # said below
        if self.connection is None:
            raise Refused(
                "mcp_unavailable",
                f"the MCP server {self.name} is not there now",
                hint="go on without it, or tell your human: clawd mcp list says why",
            )
        return self.connection

    def _tell(self, code: str, text: str, level: str) -> None:
        log.info("%s: %s", self.session, text)
        self._around.notice(self.session, code, text, level)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
