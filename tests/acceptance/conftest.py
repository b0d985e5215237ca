"""What every acceptance test has: a scripted model, and daemons on homes of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    """A scripted model; unscripted requests are answered with ``ok``."""
    async with ScriptedModel() as running:
        yield running


@pytest.fixture
async def start(model: ScriptedModel, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts daemons on a home with the sessions that a test names."""
    async with AsyncExitStack() as stack:

        async def begin(*sessions: str, **more: Any) -> RunningDaemon:
            home = tmp_path / "home"
            home.mkdir(exist_ok=True)
            if sessions:
                write_config(home, scripted(model.url, *sessions, **more))
            return await stack.enter_async_context(RunningDaemon(home))

        yield begin
