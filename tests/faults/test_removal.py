"""A session that is removed while the disk fills up: once that is acknowledged it really goes."""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.faults.ledger import Figures
from tests.faults.shim import Kind, Mode, Shim

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel

BACK_SECONDS = 5.0


def tells_of(name: str, event: dict[str, Any]) -> bool:
    """Whether the event says that this session is gone."""
    return (event["event"], event.get("session")) == ("session_removed", name)


async def test_whichever_write_fails_it_goes(
    tmp_path: Path, model: ScriptedModel, shim: Callable[[Path], Shim], figures: Figures
) -> None:
    """R03: refused, it is there as before; removed, its tasks are ended and told once it can be."""
    home = tmp_path / "home"
    home.mkdir()
    write_config(home, scripted(model.url, "a"))
    faulty = shim(home)
    async with RunningDaemon(home, environ=faulty.environ) as daemon:
        for at in itertools.count(1):
            name = f"made-{at}"
            await daemon.post("/api/sessions", session_id=name, provider_template="scripted")
            await daemon.post("/api/pause", session=name)
            await daemon.post("/api/messages", to=name, content="hello", **{"from": "a"})
            task = await daemon.post("/api/tasks", toSession=name, fromSession="a", task="work")
            faulty.control.strike(at, Mode.ERROR, errno.ENOSPC, kinds=Kind.WRITE, again=True)
            answer = await daemon.raw("DELETE", f"/api/sessions/{name}")
            if answer.status_code != 200:
                assert answer.status_code == 507
                faulty.control.rest()
                assert (await daemon.get(f"/api/tasks/{task['id']}"))["status"] == "pending"
                await daemon.ask("DELETE", f"/api/sessions/{name}")
            fired = faulty.control["fired"]
            faulty.control.rest()
            with pytest.raises(ApiError, match="there is no session"):
                await daemon.prompt(name, "are you there?")
            async with asyncio.timeout(BACK_SECONDS):
                assert (await daemon.task(task["id"]))["reason"] == "session_removed"
                assert len(await daemon.verdicts(task["id"], "a")) == 1
                await daemon.until(partial(tells_of, name))
            assert name not in [s["id"] for s in (await daemon.get("/api/sessions"))["items"]]
            if not fired:
                break
    figures(faults=at - 1)
