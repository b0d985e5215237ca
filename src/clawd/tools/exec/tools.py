"""What a session can do with commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from clawd.agent.calling import progress
from clawd.agent.tool import Answer, tool
from clawd.agent.workbench import Workbench
from clawd.errors import Invalid
from clawd.ids import new_id
from clawd.tools.exec import sources
from clawd.tools.exec.background import Background, Job
from clawd.tools.exec.launch import Launch, Wish, prepare
from clawd.tools.exec.output import SHOWN_BYTES, Output
from clawd.tools.exec.results import place_for
from clawd.tools.exec.running import Running
from clawd.tools.exec.wording import answer, kept_at, outcome

LONGEST_SECONDS = 86_400.0 + 60.0
SECONDS = 120.0
"""How long a command may take that asks for no time."""
MOST_WAIT_SECONDS = 60.0
SETTLE_SECONDS = 0.5
"""How long a start waits: what fails at once, says so at once."""


class ExecTools:
    """Run commands, and look after those in the background."""

    def __init__(
        self, home: Path, others: Iterable[Path], background: Background, bench: Workbench
    ) -> None:
        self._home = home
        self._others = tuple(others)
        self._background = background
        self._bench = bench

    @tool(seconds=LONGEST_SECONDS)
    async def exec(
        self,
        command: str,
        timeout_seconds: float | None = None,
        network: bool = False,
        cwd: str | None = None,
    ) -> Answer:
        """Run a command in a shell (bash) in your workspace, and wait for its end.

        Everything that it started ends with it; use exec_start for what shall run on.

        Args:
            command: one or more lines of shell
            timeout_seconds: end it after this time; 120 when left out
            network: whether it needs the network; only where the operator allows that
            cwd: the folder to start in, relative to the workspace
        """
        longest = self._bench.settings.tools.exec_seconds
        seconds = min(SECONDS, longest) if timeout_seconds is None else timeout_seconds
        began = time.time()
        await self._look_around()
        identity = self._identity(network)
        launch, path = await self._prepared(command, seconds, network, cwd, identity)
        output = Output(path, progress)
        try:
            ended = await Running(launch, output).run()
            await self._account(output, network, began)
            return answer(ended, output, self._bench.workspace)
        finally:
            output.close()

    @tool(seconds=LONGEST_SECONDS)
    async def exec_start(
        self,
        command: str,
        timeout_seconds: float | None = None,
        network: bool = False,
        cwd: str | None = None,
    ) -> Answer:
        """Start a command that runs on in the background, such as a server or a long build.

        Args:
            command: one or more lines of shell
            timeout_seconds: end it after this time; the longest allowed when left out
            network: whether it needs the network; only where the operator allows that
            cwd: the folder to start in, relative to the workspace
        """
        bench, background = self._bench, self._background
        background.check_room(bench.session)
        longest = bench.settings.tools.exec_seconds
        seconds = longest if timeout_seconds is None else timeout_seconds
        began = time.time()
        await self._look_around()
        # What it writes there would be in the prompts of turns that know nothing of it.
        launch, path = await self._prepared(command, seconds, network, cwd, identity=())
        output = Output(path)
        background.check_room(bench.session)
        job = Job(bench.session, command, Running(launch, output))
        background.start(job, lambda: self._account(output, network, began, job))
        await job.running.up.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(job.over.wait(), SETTLE_SECONDS)
        return self._standing(job, job.running.output.read(0, SHOWN_BYTES), 0)

    @tool(seconds=MOST_WAIT_SECONDS + 10)
    async def exec_read(
        self, id: str, offset: int | None = None, wait_seconds: float = 0.0
    ) -> Answer:
        """Read what a command in the background wrote, and whether it still runs.

        Args:
            id: the command's id, from exec_start
            offset: from this byte of its output on; from where you last read when left out
            wait_seconds: wait so long, 60 at most, when there is nothing new
        """
        job = self._background.get(self._bench.session, id)
        at = job.read if offset is None else offset
        if at < 0 or not 0 <= wait_seconds <= MOST_WAIT_SECONDS:
            raise Invalid(
                "invalid_arguments",
                "offset must not be negative, and wait_seconds be from 0 to 60",
                hint="call again to wait for longer",
            )
        await job.running.output.news(at, wait_seconds)
        data = await asyncio.to_thread(job.running.output.read, at, SHOWN_BYTES)
        await self._look_around()
        for source in job.sources:
            self._bench.trust.mark(source)
        return self._standing(job, data, at)

    @tool(seconds=30)
    async def exec_stop(self, id: str) -> Answer:
        """End a command in the background, with all that it started.

        Args:
            id: the command's id, from exec_start
        """
        job = self._background.get(self._bench.session, id)
        job.running.stop("ended: exec_stop")
        await job.over.wait()
        data = await asyncio.to_thread(job.running.output.read, job.read, SHOWN_BYTES)
        return self._standing(job, data, job.read)

    async def _prepared(
        self,
        command: str,
        seconds: float,
        network: bool,
        cwd: str | None,
        identity: tuple[str, ...],
    ) -> tuple[Launch, Path | None]:
        bench = self._bench
        wish = Wish(new_id("exec"), command, seconds, network, cwd, identity)

        def prepared() -> tuple[Launch, Path | None]:
            settings, workspace = bench.settings, bench.workspace
            launch = prepare(wish, settings.tools, workspace, self._home, self._others)
            # What is sealed on disk is not put beside it in plain text.
            sealed = settings.a2a.encrypt
            return launch, None if sealed else place_for(wish.id, workspace)

        return await asyncio.to_thread(prepared)

    async def _look_around(self) -> None:
        """A command may read any file: one with text from outside marks the turn."""
        found = await asyncio.to_thread(sources.marked, self._bench.workspace)
        if found:
            self._bench.trust.mark(found)

    def _identity(self, network: bool) -> tuple[str, ...]:
        """The identity files that a command may write: none, when it may have outside text."""
        tools = self._bench.settings.tools
        outside = network or self._bench.trust.untrusted
        return () if outside and "identity" not in tools.after_untrusted else tools.identity

    async def _account(
        self, output: Output, network: bool, began: float, job: Job | None = None
    ) -> None:
        """What the command may have read from outside, and so may have written."""
        bench = self._bench
        await self._look_around()
        if network:
            bench.trust.mark("a command with network")
        if job is not None:
            job.sources = tuple(bench.trust.sources)
        if bench.trust.untrusted:
            source = ", ".join(bench.trust.sources)
            await asyncio.to_thread(sources.mark_changed, bench.workspace, began, source)
            await asyncio.to_thread(sources.mark_output, bench.workspace, output, source)

    def _standing(self, job: Job, data: bytes, at: int) -> Answer:
        output = job.running.output
        if job.problem is not None:
            raise job.problem
        job.read = at + len(data)
        ended = job.running.ended
        state = outcome(ended) if ended else f"{job.id} is running"
        lines = [f"[{state}]", data.decode(errors="replace").rstrip("\n") or "(nothing new)"]
        if left := output.size - job.read:
            lines.append(f"[{left} more bytes: call exec_read again]")
        facts = {"id": job.id, "running": ended is None, "offset": job.read}
        if ended is not None:
            facts |= {"exitCode": ended.code, "seconds": ended.seconds}
            if ended.why:
                facts["ended"] = ended.why
        if where := kept_at(output, self._bench.workspace):
            facts["file"] = where
        return Answer("\n".join(lines), facts)
