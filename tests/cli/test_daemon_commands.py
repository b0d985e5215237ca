"""start, stop, restart, status, and what starts a daemon by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Home

LIMIT = 30.0


def test_start_status_stop(home: Home) -> None:
    """A daemon starts in the background, says how it is, and is gone after stop."""
    started = home.json("start")
    assert started["schema"] == "clawd.status/1"
    assert home.json("start")["pid"] == started["pid"]
    status = home.run("status")
    assert status.stdout.startswith(f"running · pid {started['pid']} ")
    assert "offline model" in status.stdout
    assert " · 0 unread for you · " in status.stdout
    assert home.json("stop") == {"schema": "clawd.stop/1", "stopped": True, "pid": started["pid"]}
    assert home.run("status").returncode == 4
    assert home.json("stop")["stopped"] is False


def test_restart_is_another_daemon(home: Home) -> None:
    """Restart ends the daemon that runs and starts another."""
    first = home.json("start")["pid"]
    assert home.json("restart")["pid"] != first
    assert home.run("stop").returncode == 0


def test_chat_and_send_start_a_daemon_and_say_so(home: Home) -> None:
    """Without a daemon, chat -p starts one: the answer alone is on stdout."""
    ended = home.run("chat", "-p", "Use list_agents")
    assert ended.returncode == 0, ended
    assert "started the daemon" in ended.stderr
    assert "started" not in ended.stdout
    assert "started" not in home.run("send", "coder", "hello").stderr


def test_a_daemon_that_cannot_start_says_why(home: Home) -> None:
    """What the daemon wrote before it ended is in the error, with the exit code of its cause."""
    (home.path / "config.json").write_text('{"sessions": {"a b": {}}}')
    for name in ("config.last-good.json",):
        (home.path / "state" / name).unlink(missing_ok=True)
    ended = home.run("start")
    assert ended.returncode == 3, ended
    assert "sessions" in ended.stderr


def test_a_running_foreground_daemon_ends_on_sigterm(home: Home) -> None:
    """Daemon run stays in the foreground, answers, and ends well on SIGTERM."""
    with home.started("daemon", "run", stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert any("ready" in line for line in process.stderr)
        assert home.json("status")["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) in (0, 143)


def test_private_files(home: Home) -> None:
    """What init and start write can be read by the owner alone."""
    home.run("start")
    for path in [home.path / "config.json", *(home.path / "state").rglob("*")]:
        assert os.stat(path).st_mode & 0o077 == 0, path


def test_service_unit(home: Home) -> None:
    """Install --dry-run shows the unit and the commands, and does nothing."""
    document = home.json("daemon", "install", "--dry-run")
    assert "Type=notify" in document["unit"]
    assert f"daemon run --home {home.path}" in document["unit"]
    ended = home.run("daemon", "install", "--dry-run")
    assert "systemctl --user enable --now clawd.service" in ended.stderr
    assert not (home.path / ".config").exists()


def test_logs(home: Home) -> None:
    """The daemon's and a session's log can be read, as lines and as documents."""
    home.run("chat", "-p", "Use list_agents")
    # A thread writes the logs: they are whole when the daemon has ended.
    home.run("stop")
    assert "ready" in home.run("logs").stdout
    ended = home.run("logs", "-s", "default", "--json")
    names = [json.loads(line)["event"] for line in ended.stdout.splitlines()]
    assert "run_started" in names
    assert "tool_call_end" in names
    assert home.run("logs", "-s", "default", "-n", "1").stdout.count("\n") == 1
    assert home.run("logs", "-s", "nobody").returncode == 5


def test_events_go_on_after_a_restart(home: Home) -> None:
    """A viewer waits for a daemon that is restarted and shows what the new one does."""
    home.run("start")
    # From the first event on: nobody can say when the viewer is there to see the next.
    words = ("events", "-f", "--after", "0", "--json")
    with home.started(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        home.run("chat", "-p", "before")
        assert any('"before"' in line for line in process.stdout)
        home.run("restart")
        assert any("started anew" in line for line in process.stderr)
        home.run("chat", "-p", "after")
        assert any('"after"' in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 130


def test_doctor(home: Home) -> None:
    """Each finding has its mend; --fix makes private what was not."""
    (home.path / "config.json").chmod(0o644)
    document = home.json("doctor")
    found = {item["name"]: item for item in document["items"]}
    assert found["daemon"]["mend"] == "clawd start"
    assert found["home"]["state"] == "warning"
    assert home.json("doctor", "--fix")["ok"]
    assert os.stat(home.path / "config.json").st_mode & 0o777 == 0o600
    (home.path / "config.json").write_text("{")
    assert home.run("doctor").returncode == 3


def test_doctor_misses_a_workspace(home: Home) -> None:
    """While the daemon runs, the folder of any session that is gone is an error with its mend."""
    home.run("start")
    made = home.json("sessions", "create", "poet", "-t", "offline")
    assert home.json("doctor")["ok"]
    Path(made["workspace"]).rename(home.path / "away")
    ended = home.run("doctor")
    assert ended.returncode == 1
    assert f"{made['workspace']} is gone" in ended.stdout
    assert "put the folder back" in ended.stdout
    assert "all writable" not in ended.stdout
