"""Callers that are stopped in the middle of a write: what is stored has its effect all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from clawd.comms.caller import operator
from clawd.comms.creation import SessionCreation
from clawd.daemon.app import Daemon
from clawd.daemon.reload import Configuration
from clawd.sessions.creation import UNFINISHED
from clawd.storage.files import make_private_folder
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Daemon]:
    """A daemon in this process."""
    make_private_folder(home / "state")
    configuration = Configuration(home)
    configuration.load()
    daemon = Daemon(home, configuration, time.perf_counter())
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.run())
        await daemon.ready.wait()
        try:
            async with asyncio.timeout(20):
                yield daemon
        finally:
            daemon.stop()


async def test_a_creation_that_is_cut_off_once_it_is_stored_is_whole(tmp_path: Path) -> None:
    """R03: its caller is stopped as soon as it is registered; it is there, and serves."""
    async with ScriptedModel() as model:
        write_config(tmp_path, scripted(model.url, "a"))
        async with running(tmp_path) as daemon, asyncio.TaskGroup() as group:
            wanted = SessionCreation(id="made", name="made", template="scripted")
            creating = group.create_task(daemon.sessions.create(operator(), wanted))

            def cut_off() -> None:
                """In the first step of the loop in which it is stored."""
                if daemon.registry.get("made") is None:
                    asyncio.get_running_loop().call_soon(cut_off)
                else:
                    creating.cancel()

            cut_off()
            await asyncio.wait([creating])
            assert creating.cancelled()
            await daemon.sessions.get("made").prompt("hello")
            await model.until(lambda: len(model.requests) == 1)
            assert not (tmp_path / "workspaces/made" / UNFINISHED).exists()


async def test_a_line_whose_sender_is_cut_off_runs_once_it_is_stored(tmp_path: Path) -> None:
    """R03: its sender is stopped while it is being written; it is on disk, and is answered."""
    async with ScriptedModel() as model:
        write_config(tmp_path, scripted(model.url, "a"))
        async with running(tmp_path) as daemon, asyncio.TaskGroup() as group:
            sending = group.create_task(daemon.sessions.get("a").prompt("hello"))
            # It has gone as far as it can without the disk when this is its turn.
            asyncio.get_running_loop().call_soon(sending.cancel)
            await asyncio.wait([sending])
            assert sending.cancelled()
            await model.until(lambda: len(model.requests) == 1)
    assert model.requests[0].messages[-1]["content"] == "hello"
