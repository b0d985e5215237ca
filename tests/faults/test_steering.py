"""Lines that steer a turn whose disk fails: whatever becomes of the turn, each is heard once."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from pathlib import Path

from tests.faults.ledger import Aftermath, Figures
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call


async def test_whichever_write_fails_they_are_heard(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], figures: Figures
) -> None:
    """R03: acknowledged while the turn runs, the line is in a turn, that one or one of its own."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    words: list[str] = []
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        for at in itertools.count(1):
            gate = model.hold("a")
            model.script("a", [call("list_agents")])
            await daemon.prompt("a", f"go {at}")
            await gate.reached()
            for word in (f"left {at}", f"right {at}"):
                accepted = await daemon.post("/api/sessions/a/prompt", text=word, mode="steer")
                assert accepted["state"] == "steered"
                words.append(word)
            faulty.control.strike(at, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE)
            gate.open()
            await daemon.idle()
            fired = faulty.control["fired"]
            faulty.control.rest()
            if not fired:
                break
    spoken = Aftermath(home).spoken
    assert {word: spoken[word] for word in words} == dict.fromkeys(words, 1)
    figures(faults=at - 1)
