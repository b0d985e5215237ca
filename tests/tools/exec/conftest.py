"""Sessions that may run commands, in a workspace below a clawd home."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tools.exec.session import Session

from clawd.config.schema import SessionSettings
from clawd.events import Event
from clawd.tools.exec.kit import Exec

Make = Callable[..., Session]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A clawd home with a canary in its configuration."""
    home = tmp_path / "home"
    (home / "state").mkdir(parents=True)
    (home / "config.json").write_text("canary-of-the-home")
    return home


@pytest.fixture
def events() -> list[Event]:
    """What the kit told the stream."""
    return []


@pytest.fixture
async def kit(home: Path, events: list[Event]) -> AsyncIterator[Exec]:
    """The group of tools; everything that it runs ends with the test."""
    async with asyncio.TaskGroup() as group:
        made = Exec(home, lambda name, work: group.create_task(work, name=name), events.append)
        yield made
        await made.close()


@pytest.fixture
def make(kit: Exec, home: Path) -> Make:
    """Makes a session with these settings of its tools."""

    def made(name: str = "ada", **tools: Any) -> Session:
        workspace = home / "workspaces" / name
        workspace.mkdir(parents=True, exist_ok=True)
        data = {"id": name, "tools": {"exec": True, **tools}}
        return Session(kit, workspace, SessionSettings.model_validate(data))

    return made


@pytest.fixture
def ada(make: Make) -> Session:
    """A session with commands as they are by default."""
    return make()
