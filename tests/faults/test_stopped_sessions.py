"""Sessions that are stopped, restarted or paused while the disk fails them: nothing runs twice."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.ledger import Aftermath
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import Gate, ScriptedModel, hang, say, slow

Faulty = Callable[[Path], Shim]
STOP_SECONDS = 5.0
"""Half of what a part may take that does not stop when it is told to."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    place = tmp_path / "home"
    place.mkdir()
    return place


def full(shim: Shim) -> None:
    """From now on the disk takes nothing."""
    shim.control.strike(1, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)


def turns(home: Path) -> dict[str, str]:
    """The turns of session a by id, each with its state on disk."""
    lines = latest(home / "workspaces/a/history.jsonl")
    return {line["id"]: line["status"] for line in lines if line["type"] == "turn"}


@pytest.mark.parametrize("said", ["nothing", "half"])
async def test_a_session_stops_also_when_that_cannot_be_stored(
    home: Path, model: ScriptedModel, shim: Faulty, said: str
) -> None:
    """R03: restarted on a full disk, it is let go at once, and one alone serves after that."""
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        model.script("a", [hang() if said == "nothing" else slow("one two", Gate()), say("done")])
        turn = await daemon.prompt("a", "go")
        if said == "half":
            await daemon.until(lambda e: e["event"] == "text_message_content")
        await model.until(lambda: model.at_once["a"] == 1)
        full(faulty)
        async with asyncio.timeout(STOP_SECONDS):
            await daemon.post("/api/sessions/a/restart")
        faulty.control.rest()
        assert await daemon.ended(turn) == "done"
        await daemon.idle()
        assert len(model.of("a")) == 2
        assert turns(home) == {turn: "finished"}
    assert Aftermath(home).spoken["go"] == 1
