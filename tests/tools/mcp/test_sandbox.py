"""A server that is a command runs in the sandbox of its session, and ends with the daemon."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.tools.mcp.conftest import HERE, House, tool

from clawd.sandbox.probe import bubblewrap

pytestmark = pytest.mark.skipif(
    bubblewrap().ability is None, reason=f"no sandbox here: {bubblewrap().problem}"
)

PYTHON = str(Path(sys.executable).resolve())
SEEN = [str(HERE), *dict.fromkeys(str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix))]


def raw(house: House, tools: list[Any], *ways: str, **more: Any) -> dict[str, Any]:
    """The entry of a server that needs no package, sandboxed, with its list in the workspace."""
    (house.workspace / "tools.json").write_text(json.dumps(tools))
    line = [str(HERE / "raw.py"), str(house.workspace / "tools.json"), *ways]
    return {"command": PYTHON, "args": line, "readable": SEEN, **more}


async def see(house: House, path: Path | str = "") -> dict[str, Any]:
    """What the server sees."""
    said = (await house.call("x__look", path=str(path))).text
    found: dict[str, Any] = json.loads(said.split("\n")[2])
    return found


async def test_a_server_sees_its_workspace_and_nothing_of_its_neighbours(house: House) -> None:
    """Neither clawd's home nor the user's, and no secret of the environment."""
    (house.home / "state" / "secret").write_text("x")
    neighbour = house.home / "workspaces" / "other"
    neighbour.mkdir()
    (house.workspace / "mine.txt").write_text("x")
    await house.have(x=raw(house, [tool("look")], env={"OWN": "1"}))
    found = await see(house, house.workspace / "mine.txt")
    assert found["there"] is True
    assert found["folder"] == str(house.workspace)
    assert set(found["environment"]) <= {"OWN", "HOME", "PATH", "LANG", "LC_CTYPE", "PWD", "TERM"}
    assert found["environment"]["HOME"] == str(house.workspace)
    for path in (house.home / "state" / "secret", neighbour, Path.home() / ".bashrc"):
        assert (await see(house, path))["there"] is False


@pytest.mark.parametrize("network", [False, True])
async def test_a_server_has_the_network_only_when_its_entry_says_so(
    house: House, network: bool
) -> None:
    """Without it there is not even the machine's own loopback."""
    await house.have(x=raw(house, [tool("look")], network=network))
    there = set(os.listdir("/sys/class/net"))
    assert set((await see(house))["interfaces"]) == (there if network else {"lo"})


async def test_a_server_can_write_its_files_and_not_who_the_session_is(house: House) -> None:
    """Identity files and what the daemon keeps are read-only, also where they are not there yet."""
    (house.workspace / "SOUL.md").write_text("Be kind.")
    await house.have(x=raw(house, [tool("write")]))
    for name, written in (
        ("notes.txt", True),
        ("SOUL.md", False),
        ("MEMORY.md", False),
        ("history.jsonl", False),
        ("session_messages.jsonl", False),
        ("logs/x", False),
    ):
        said = (await house.call("x__write", path=str(house.workspace / name))).text
        assert ('"written": true' in said) is written, name
    assert (house.workspace / "SOUL.md").read_text() == "Be kind."
    assert (house.workspace / "notes.txt").exists()


async def test_further_folders_can_be_shown_and_opened(house: House, tmp_path: Path) -> None:
    """`readable` and `writable`, absolute or relative to the home."""
    given = tmp_path / "given"
    given.mkdir()
    (house.home / "shown").mkdir()
    entry = raw(house, [tool("write"), tool("look")], writable=[str(given)])
    entry["readable"] = [*SEEN, "shown"]
    await house.have(x=entry)
    assert '"written": true' in (await house.call("x__write", path=str(given / "a"))).text
    assert (given / "a").exists()
    assert (await see(house, house.home / "shown"))["there"] is True
    said = (await house.call("x__write", path=str(house.home / "shown" / "a"))).text
    assert '"written": false' in said


async def test_a_folder_to_start_in_stays_in_the_workspace(house: House) -> None:
    """`cwd` is relative to it, and does not lead out."""
    (house.workspace / "sub").mkdir()
    (house.workspace / "out").symlink_to("/usr")
    await house.have(x=raw(house, [tool("look")], cwd="sub"))
    assert (await see(house))["folder"] == str(house.workspace / "sub")
    for cwd in ("..", "out", "/usr"):
        house.notices.clear()
        await house.have(x=raw(house, [tool("look")], cwd=cwd))
        assert "leads out of the workspace" in (await house.notice("mcp_parked")).text


async def test_a_program_that_the_sandbox_does_not_show_is_said_so(house: House) -> None:
    """With the key that would show it."""
    await house.have(x={**raw(house, []), "readable": []})
    notice = await house.notice("mcp_parked")
    assert "see readable" in notice.text


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv (util-linux)")
@pytest.mark.parametrize("sandbox", [True, False])
def test_no_server_outlives_a_daemon_that_is_killed(tmp_path: Path, sandbox: bool) -> None:
    """Not even one that does not read its input, and ignores what it is told."""
    root = Path(__file__).parents[3]
    daemon = subprocess.Popen(
        [sys.executable, str(HERE / "owner.py"), str(tmp_path), "yes" if sandbox else "no"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert daemon.stdout is not None
    try:
        word, *pids = daemon.stdout.readline().split()
        assert word == "ready"
        handles = [os.pidfd_open(int(pid)) for pid in pids]
    finally:
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        daemon.stdout.close()
    for handle in handles:
        assert select.select([handle], [], [], 10)[0]
        os.close(handle)
