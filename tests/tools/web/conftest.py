"""A session's web tools, with a site to read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from clawd.agent.tool import Tool
from clawd.agent.workbench import Workbench
from clawd.config.schema import SessionSettings
from clawd.lineage import begin
from clawd.net.fetch import Fetcher
from clawd.secrets import Redactor
from clawd.testing.site import Site
from clawd.tools.web.toolkit import Web

Tools = Callable[..., dict[str, Tool]]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A site without pages; tests add them."""
    async with Site() as running:
        yield running


@pytest.fixture
def redactor() -> Redactor:
    """What is to be hidden."""
    return Redactor()


@pytest.fixture
def web(tmp_path: Path, redactor: Redactor) -> Web:
    """The group of tools."""
    return Web(Fetcher(), tmp_path, redactor)


@pytest.fixture
def tools(web: Web, tmp_path: Path) -> Tools:
    """The tools of a session with these settings under `tools`; 127.0.0.1 is allowed."""

    def bound(**settings: Any) -> dict[str, Tool]:
        return web.tools(bench(tmp_path, **{"allowNets": ["127.0.0.1"], **settings}))

    return bound


def bench(workspace: Path, **settings: Any) -> Workbench:
    """The caller: a session with these settings under `tools`."""
    told = SessionSettings.model_validate({"id": "a", "tools": settings})
    return Workbench("a", workspace, told, begin())
