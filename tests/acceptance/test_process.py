"""The daemon as a process: no core, nothing for debuggers, no secret in a traceback or a child."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from clawd.environment import child_environment
from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, say

CANARY = "sk-Canary-4f7Q9zP2xW8mK3vB"
SET_UP = f"""
import ctypes, logging, sys, threading
from clawd.daemon.hardening import keep_private, keep_secrets_off_stderr
from clawd.secrets import Redactor, Secret
logging.basicConfig(format="%(message)s")
redactor = Redactor()
keep_private()
keep_secrets_off_stderr(redactor)
redactor.learn([Secret({CANARY!r})])
def fail(): raise RuntimeError("the key is " + {CANARY!r})
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", SET_UP + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "fail()",
        "thread = threading.Thread(target=fail); thread.start(); thread.join()",
        "logging.error('the key is %s', redactor and " + repr(CANARY) + ")",
        "try:\n fail()\nexcept RuntimeError: logging.exception('it failed')",
    ],
    ids=["main", "thread", "log", "logged exception"],
)
def test_r12_stderr_shows_no_secret(code: str) -> None:
    """A traceback that nobody caught, in any thread, and what is logged with one."""
    ended = run(code)
    assert "the key is ***" in ended.stderr
    assert "anary" not in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_its_memory_is_nobody_elses() -> None:
    """PR_GET_DUMPABLE says 0: no core, no debugger, no reading of its /proc by others."""
    assert run("print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))").stdout == "0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_running_daemon_leaves_no_core(start: Start) -> None:
    """The limit on core files is 0, soft and hard."""
    daemon = await start("a", "b")
    path = Path(f"/proc/{daemon.pid}/limits")
    limits = await asyncio.to_thread(path.read_text, "ascii")
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]


def test_children_get_what_is_listed_and_nothing_else() -> None:
    """What every program needs; a key stays behind whatever its name is."""
    environ = {
        "HOME": "/h", "PATH": "/bin", "LC_ALL": "C", "LANG": "C", "TERM": "xterm", "USER": "u",
        "OPENAI_API_KEY": CANARY, "CLAWD_ENCRYPTION_KEY": CANARY, "INNOCENT": CANARY,
        "LD_PRELOAD": "x.so", "PYTHONPATH": "/p", "DBUS_SESSION_BUS_ADDRESS": "unix:/b",
    }  # fmt: skip
    child = child_environment(environ, "DBUS_SESSION_BUS_ADDRESS")
    assert set(child) == {
        *("HOME", "PATH", "LC_ALL", "LANG", "TERM", "USER", "DBUS_SESSION_BUS_ADDRESS")
    }


def open_to_others(home: Path) -> dict[str, str]:
    """What below a home has any bit for others, or is a file that may be run."""
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in home.rglob("*")}
    return {
        str(path.relative_to(home)): oct(mode)
        for path, mode in modes.items()
        if mode & 0o077 or (path.is_file() and mode & 0o100)
    }


async def test_t22_whatever_a_day_leaves_is_private(model: ScriptedModel, tmp_path: Path) -> None:
    """Under umask 000: rotated logs, what was set aside as torn and as damaged, its own log."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    log = {"maxBytes": 4096, "level": "debug"}
    write_config(home, scripted(model.url, "a", "b", log=log))
    daemon = RunningDaemon(home, umask=0)
    async with daemon:
        for _ in range(8):
            model.script("a", [say("many words " * 60)])
            await daemon.say("a", "go on")
        await daemon.post("/api/messages", to="a", content="hello")
        await daemon.idle()
    for name in ("history.jsonl", "session_messages.jsonl"):
        path = home / "workspaces/a" / name
        path.write_bytes(b"no record\n" + path.read_bytes() + b'{"id": "torn')
    (home / "state/tasks.jsonl").write_bytes(b"no record\n")
    async with daemon:
        await daemon.get("/api/status")
        names = {path.name for path in home.rglob("*")}
        (home / "daemon.err").unlink()  # the test's own
        assert open_to_others(home) == {}
    assert {"session.log.1", "history.jsonl.rejected", "tasks.jsonl.rejected"} <= names
    assert any(".torn-" in name for name in names)


def test_t22_what_commands_write_is_private(tmp_path: Path) -> None:
    """Under umask 000: the configuration, workspaces, a key."""
    home = tmp_path / "home"
    for line in (
        ["init", "--provider", "offline", "--home", str(home)],
        ["keys", "new", "--file", str(home / "content.key")],
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "clawd", *line],
            capture_output=True,
            text=True,
            umask=0,
            check=False,
            env={**os.environ, "CLAWD_HOME": str(home)},
        )
        assert ended.returncode == 0, ended
    assert {"config.json", "content.key"} <= {path.name for path in home.iterdir()}
    assert open_to_others(home) == {}
    assert len((home / "content.key").read_text(encoding="ascii").strip()) == 43
