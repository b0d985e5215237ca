"""A world in which a test turns the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.tools.schedule.world import World

from clawd.storage.writer import Writer


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A daemon that has just started, with the session ``s`` and nothing planned."""
    writer = Writer()
    writer.start()
    made = World(tmp_path, writer)
    await made.start()
    yield made
    await made.kit.close()
    await writer.close()
