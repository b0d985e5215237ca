"""The end of a turn is told once, and not before everyone who asks can see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clawd.daemon.app import Daemon
from clawd.daemon.reload import Configuration
from clawd.events import RunFailed, RunFinished
from clawd.messages import Usage
from clawd.sessions.session import Session
from clawd.storage.files import make_private_folder
from clawd.stream import Published
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import ScriptedModel, Step, call, fail, hang, say


class Ends:
    """Looks around at the very moment at which a turn's end is told."""

    def __init__(self, home: Path, session: Session) -> None:
        self.heard = asyncio.Event()
        self.seen: list[tuple[str, str, Usage, str]] = []
        self._home = home
        self._session = session

    def __call__(self, published: Published) -> None:
        """Note event, state on disk, tokens of the transcript and what the session does."""
        event = published.event
        if isinstance(event, RunFinished | RunFailed):
            lines = latest(self._home / "workspaces/a/history.jsonl")
            (status,) = [line["status"] for line in lines if line["id"] == event.run_id]
            kind = type(event).__name__
            usage = self._session.transcript.usage
            assert usage == event.usage
            self.seen.append((kind, status, usage, self._session.status()))
            self.heard.set()


@asynccontextmanager
async def watched(home: Path) -> AsyncIterator[tuple[Session, Ends]]:
    """A daemon in this process, and someone who watches the ends of the turns of ``a``."""
    make_private_folder(home / "state")
    configuration = Configuration(home)
    configuration.load()
    daemon = Daemon(home, configuration, time.perf_counter())
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.run())
        await daemon.ready.wait()
        session = daemon.sessions.get("a")
        ends = Ends(home, session)
        daemon.stream.observe(ends)
        try:
            async with asyncio.timeout(20):
                yield session, ends
        finally:
            daemon.stop()


@pytest.mark.parametrize(
    ("steps", "end", "status", "tokens"),
    [
        ([call("list_agents"), say("done")], "RunFinished", "finished", 2),
        ([fail(400)], "RunFailed", "failed", 0),
        ([call("list_agents"), fail(400)], "RunFailed", "failed", 1),
    ],
)
async def test_who_hears_of_an_end_finds_it(
    tmp_path: Path, steps: list[Step], end: str, status: str, tokens: int
) -> None:
    """The end is on disk, its tokens are counted and the session is free when it is told."""
    async with ScriptedModel() as model:
        write_config(tmp_path, scripted(model.url, "a"))
        model.script("a", steps)
        async with watched(tmp_path) as (session, ends):
            await session.prompt("go")
            await ends.heard.wait()
    assert [(kind, state, does) for kind, state, _, does in ends.seen] == [(end, status, "idle")]
    assert ends.seen[0][2].input_tokens == 100 * tokens


async def test_a_stopped_turn_keeps_what_it_spent(tmp_path: Path) -> None:
    """A turn that is stopped has paid for its calls so far, and says so once it is on disk."""
    async with ScriptedModel() as model:
        write_config(tmp_path, scripted(model.url, "a"))
        model.script("a", [call("list_agents"), hang()])
        async with watched(tmp_path) as (session, ends):
            await session.prompt("go")
            await model.request(2)
            await session.cancel(by="operator")
            await ends.heard.wait()
    ((kind, status, usage, does),) = ends.seen
    assert (kind, status, does) == ("RunFailed", "cancelled", "idle")
    # The first call said 100; of the one that was cut off nobody knows more than its request.
    assert usage.estimated
    assert usage.input_tokens > 100
