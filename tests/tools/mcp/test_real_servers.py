"""Servers that others wrote, from the registries: installed once into ``build/mcp-servers``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from tests.tools.mcp.conftest import House
from tests.tools.mcp.test_http import app_of, serving

from clawd.errors import Refused
from clawd.sandbox.probe import bubblewrap

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BUILD = Path(__file__).parents[3] / "build" / "mcp-servers"
NPM = ("@modelcontextprotocol/server-everything", "@modelcontextprotocol/server-filesystem")
PYPI = ("mcp-server-time", "mcp-server-fetch")
SANDBOX = bubblewrap().ability is not None


def _run(*line: str) -> None:
    done = subprocess.run(line, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode:
        pytest.skip(f"{line[0]} could not install the servers: {done.stderr[-300:]}")


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder of the servers that run on node."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on PATH")
    folder = BUILD / "npm"
    if not (folder / ".ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *NPM)
        (folder / ".ready").touch()
    return folder


@pytest.fixture(scope="session")
def python() -> Path:
    """The environment of the servers that run on Python."""
    folder = BUILD / "python"
    if not (folder / ".ready").exists():
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(folder / "bin" / "pip"), "install", "-q", *PYPI)
        (folder / ".ready").touch()
    return folder


def of_node(folder: Path, name: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """The entry of such a server; in the sandbox, where there is one."""
    script = folder / "node_modules" / "@modelcontextprotocol" / name / "dist" / "index.js"
    line = [str(script), *arguments]
    return {"command": "node", "args": line, "sandbox": SANDBOX, "readable": [str(folder)]} | more


def of_python(folder: Path, name: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """Likewise; the interpreter's own folder has to be shown too."""
    base = str(Path(sys.base_prefix).resolve())
    entry = {"command": str(folder / "bin" / name), "args": [*arguments], "sandbox": SANDBOX}
    return entry | {"readable": [str(folder), base]} | more


async def test_everything(house: House, node: Path) -> None:
    """Every kind of tool of the reference server of the protocol."""
    await house.have(x=of_node(node, "server-everything", "stdio"))
    tools = house.tools()
    assert len(tools) >= 12
    assert "\nEcho: hi\n" in (await house.call("x__echo", message="hi")).text
    assert "42" in (await house.call("x__get-sum", a=40, b=2)).text
    assert "[image, image/png, " in (await house.call("x__get-tiny-image")).text
    assert "temperature" in (
        await house.call("x__get-structured-content", location="Chicago")
    ).text  # fmt: skip
    told: list[str] = []
    running = "x__trigger-long-running-operation"
    said = await house.told(running, tell=told.append, duration=1.5, steps=3)
    assert "completed" in said.text
    assert "1 of 3" in told[0]
    links = (await house.call("x__get-resource-links", count=2)).text
    assert links.count("[resource ") == 2
    assert "SECRET_KEY" not in (await house.call("x__get-env")).text
    connection = house.server().connection
    assert connection is not None
    assert connection.protocol == "2025-11-25"


async def test_filesystem(house: House, node: Path) -> None:
    """A server that works on the files of the workspace, and stays there."""
    (house.workspace / "a.txt").write_text("one\ntwo\n")
    await house.have(x=of_node(node, "server-filesystem", "."))
    assert "two" in (await house.call("x__read_text_file", path="a.txt")).text
    await house.call("x__write_file", path="b.txt", content="three")
    assert (house.workspace / "b.txt").read_text() == "three"
    with pytest.raises(Refused) as refused:
        await house.call("x__read_text_file", path="/etc/hostname")
    assert refused.value.code == "mcp_tool_failed"
    if SANDBOX:
        with pytest.raises(Refused):
            await house.call("x__write_file", path="SOUL.md", content="x")


async def test_time(house: House, python: Path) -> None:
    """A server on Python."""
    await house.have(x=of_python(python, "mcp-server-time", "--local-timezone", "UTC"))
    said = (await house.call("x__get_current_time", timezone="Europe/Berlin")).text
    assert "Europe/Berlin" in said
    with pytest.raises(Refused):
        await house.call("x__get_current_time", timezone="Nowhere/None")


async def test_fetch(house: House, python: Path) -> None:
    """A server that reaches the network, because its entry says so."""

    async def page(_: Request) -> Response:
        return HTMLResponse("<h1>Moon</h1><p>It is far away.</p>")

    async with serving(app_of(page)) as port:
        more = ("--allow-private-ips", "--ignore-robots-txt")
        entry = of_python(python, "mcp-server-fetch", *more)
        await house.have(x={**entry, "network": True} if SANDBOX else entry)
        # Without `raw` its first call installs a program beside itself, which the sandbox refuses.
        said = await house.call("x__fetch", url=f"http://127.0.0.1:{port}/moon", raw=True)
        assert "It is far away." in said.text
        await house.have()
