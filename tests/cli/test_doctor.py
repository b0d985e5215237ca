"""``clawd doctor``: each trouble of a home in words, with its mend; ``--fix`` does what is safe."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Home

JSON = dict[str, Any]


def examined(home: Home, *words: str) -> tuple[int, list[JSON]]:
    """``clawd doctor --json``: its exit code and findings."""
    ended = home.run("doctor", "--json", *words)
    document = json.loads(ended.stdout)
    assert document["ok"] == (ended.returncode == 0)
    return ended.returncode, document["items"]


def told(items: list[JSON], name: str) -> list[JSON]:
    """The findings of that name that are not well."""
    return [item for item in items if item["name"] == name and item["state"] != "ok"]


@pytest.fixture
def quiet(home: Home) -> Home:
    """A home whose workspaces are there, with a log each; no daemon runs."""
    for name in ("default", "coder"):
        folder = home.path / "workspaces" / name
        folder.mkdir(parents=True, exist_ok=True)
        for log in ("history.jsonl", "session_messages.jsonl"):
            (folder / log).touch(0o600)
    (home.path / "state").mkdir(mode=0o700, exist_ok=True)
    return home


def torn(home: Path) -> None:
    """A power cut."""
    (home / "workspaces/coder/history.jsonl").write_text('{"id":"x"')


def odd(home: Path) -> None:
    """A pipe in the place of a mailbox."""
    path = home / "workspaces/coder/session_messages.jsonl"
    path.unlink()
    os.mkfifo(path)


def rejected(home: Path) -> None:
    """Damage that was set aside."""
    (home / "workspaces/coder/history.jsonl.rejected").touch(0o600)


def open_to_all(home: Path) -> None:
    """A transcript that others can read."""
    (home / "workspaces/coder/history.jsonl").chmod(0o644)


def ahead(home: Path) -> None:
    """A log from next week."""
    path = home / "workspaces/coder/history.jsonl"
    os.utime(path, (time.time() + 7 * 86400,) * 2)


def in_the_way(home: Path) -> None:
    """A file where a workspace should be."""
    folder = home / "workspaces/coder"
    folder.rename(home / "aside")
    folder.write_text("")


@pytest.mark.parametrize(
    ("trouble", "name", "words", "mend"),
    [
        (
            torn,
            "storage",
            "in the middle of a line (a crash or a power cut)",
            "clawd fsck --repair",
        ),
        (odd, "storage", "its session is parked", "clawd fsck --repair"),
        (rejected, "storage", "holds what could not be read", "look at it, then delete it"),
        (open_to_all, "home", "others can read", "clawd doctor --fix"),
        (ahead, "clock", "168 h in the future", "set the clock"),
        (in_the_way, "config", "is not a folder", ""),
    ],
)
def test_each_trouble_has_its_words_and_its_mend(
    quiet: Home, trouble: Callable[[Path], None], name: str, words: str, mend: str
) -> None:
    """What is wrong, where, and what to do; nothing is changed by looking."""
    trouble(quiet.path)
    _, items = examined(quiet)
    found = told(items, name)
    assert any(words in item["message"] and mend in item["mend"] for item in found), items


def test_fix_does_what_is_safe_and_says_so(quiet: Home) -> None:
    """Files are made private, a dead daemon's socket goes; damage and links stay as they are."""
    open_to_all(quiet.path)
    torn(quiet.path)
    outside = quiet.path / "outside.txt"
    outside.touch(0o644)
    (quiet.path / "workspaces/coder/linked.jsonl").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(quiet.path / "state/clawd.sock"))
    code, items = examined(quiet, "--fix")
    assert code == 1
    fixed = {item["name"]: item["fixed"] for item in items if item["fixed"]}
    assert fixed == {"home": "made private", "socket": "removed"}
    assert not (quiet.path / "state/clawd.sock").exists()
    assert (quiet.path / "workspaces/coder/history.jsonl").read_text() == '{"id":"x"'
    assert outside.stat().st_mode & 0o777 == 0o644
    shown = quiet.run("doctor", "--plain").stdout
    assert shown.splitlines()[-1].startswith("1 failed, ")


def test_what_waits_for_the_operator(home: Home) -> None:
    """Of a running daemon: how it is, who is paused, who is parked, and the way back of each."""
    assert home.run("start").returncode == 0
    home.run("pause", "coder")
    made = home.json("sessions", "create", "poet", "-t", "offline")
    box = Path(made["workspace"], "session_messages.jsonl")
    home.run("stop")
    box.unlink(missing_ok=True)
    box.mkdir()
    assert home.run("start").returncode == 0
    code, items = examined(home)
    assert code == 1
    (parked,) = told(items, "session")
    assert str(box) in parked["message"]
    assert parked["mend"] == "clawd sessions restart poet"
    assert [item["mend"] for item in told(items, "paused")] == ["clawd resume coder"]
    (alive,) = [item for item in items if item["name"] == "daemon"]
    assert "of memory" in alive["message"]
    box.rmdir()
    restarted = home.run("sessions", "restart", "poet")
    assert (restarted.returncode, restarted.stdout) == (0, "poet runs again\n")
    assert told(examined(home)[1], "session") == []


def test_a_daemon_that_is_stuck_is_named(home: Home) -> None:
    """It holds the home and says nothing: its process and what to do."""
    home.run("start")
    pid = home.json("status")["pid"]
    (home.path / "state/clawd.sock").unlink()
    _, items = examined(home)
    (stuck,) = told(items, "daemon")
    assert f"process {pid} holds" in stuck["message"]
    assert stuck["mend"].startswith(f"kill {pid};")
    os.kill(pid, signal.SIGTERM)


def test_an_endpoint_out_of_reach_is_named(home: Home) -> None:
    """The host, the reason and the mend; nothing is sent to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        home.silence(port)
        assert told(examined(home)[1], "provider") == []
    (found,) = told(examined(home)[1], "provider")
    assert f"127.0.0.1:{port} is out of reach (connection refused)" in found["message"]
    assert "clawd providers test silent" in found["mend"]


def test_commands_need_a_sandbox_that_works(home: Home) -> None:
    """Asked only where a session may run commands; the package, or what is not confined."""
    config: dict[str, Any] = {"sessions": {"default": {}}}
    path = home.path / "config.json"
    path.write_text(json.dumps(config))
    assert not [item for item in examined(home)[1] if item["name"] == "commands"]
    path.write_text(json.dumps({"sessions": {"default": {"tools": {"exec": True}}}}))
    bare = {"tools": {"exec": True, "execSandbox": "none"}}
    home.environment["PATH"] = ""
    (missing,) = told(examined(home)[1], "commands")
    assert (missing["state"], "apt install bubblewrap" in missing["mend"]) == ("error", True)
    assert "default can run no commands" in missing["message"]
    path.write_text(json.dumps({"sessions": {"default": bare}}))
    (loud,) = told(examined(home)[1], "commands")
    assert "the commands of default run without a sandbox" in loud["message"]
