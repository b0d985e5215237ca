"""One daemon a home, private files, and a stop that nothing holds up."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clawd.testing.daemon import DaemonDied, RunningDaemon, Start
from clawd.testing.faults import hang
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, call, say


async def run_second(home: Path) -> tuple[int, str, float]:
    """Run a daemon on a home until it ends: exit code, what it said, seconds from its start."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clawd", "daemon", "run", "--home", str(home)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode(), time.perf_counter() - began


def modes_below(home: Path, *rooms: str) -> dict[str, int]:
    """The kind and mode of everything in some folders, the folders themselves too."""
    found = [p for room in rooms for p in [home / room, *home.glob(f"{room}/**/*")]]
    return {str(p.relative_to(home)): p.lstat().st_mode for p in found}


@asynccontextmanager
async def open_stream(daemon: RunningDaemon) -> AsyncIterator[asyncio.StreamReader]:
    """A viewer that is never closed from its side."""
    reader, writer = await asyncio.open_unix_connection(str(daemon.home / "state/clawd.sock"))
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: clawd\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.readuntil(b": clawd\n\n")
    yield reader
    writer.close()


async def test_a_second_daemon_is_refused_at_once(start: Start) -> None:
    """R05: refused with the first one's pid and the path; the first one notices nothing."""
    daemon = await start("a")
    code, output, seconds = await run_second(daemon.home)
    assert code == 1
    assert str(daemon.pid) in output
    assert str(daemon.home / "state/lock") in output
    assert "clawd stop" in output
    # The refusal itself takes milliseconds; the rest is an interpreter that starts.
    assert seconds < 3
    assert await daemon.say("a", "hello") == "ok"


async def test_a_dead_daemon_blocks_nobody(start: Start) -> None:
    """R05: the lock and the socket of a killed daemon are taken over."""
    daemon = await start("a")
    first = daemon.pid
    await daemon.kill()
    assert (daemon.home / "state/clawd.sock").exists()
    assert str(first) in (daemon.home / "state/lock").read_text()
    await daemon.start()
    assert await daemon.say("a", "hello") == "ok"
    assert str(daemon.pid) in (daemon.home / "state/lock").read_text()


async def test_without_any_good_configuration_every_problem_is_named(
    model: ScriptedModel, tmp_path: Path
) -> None:
    """R10: exit 3, all problems with their places, and nothing but the lock was made."""
    config = scripted(model.url, "a", "b")
    config["sessions"]["a"]["enabled"] = "yes"
    config["sessions"]["b"]["provider"]["model"] = "z"
    write_config(tmp_path, config)
    code, output, _ = await run_second(tmp_path)
    assert code == 3
    assert "sessions.a.enabled" in output
    assert "sessions.b.provider.model" in output
    assert "clawd" in output
    assert "Traceback" not in output
    assert os.listdir(tmp_path / "state") == ["lock"]


async def test_without_a_configuration_the_mend_is_named(tmp_path: Path) -> None:
    """An empty home: exit 3 and how to make one."""
    code, output, _ = await run_second(tmp_path)
    assert code == 3
    assert "config.json" in output
    assert "clawd init" in output


async def test_everything_is_private_under_any_umask(model: ScriptedModel, tmp_path: Path) -> None:
    """Under umask 000 every file is 0600 and every folder 0700, the socket too."""
    write_config(tmp_path, scripted(model.url, "a", "b"))
    model.script("a", [call("send_message_to_session", target_session="b", message="x"), say("s")])
    made = dict.fromkeys(("session_id", "name"), "made")
    async with RunningDaemon(tmp_path, umask=0) as daemon:
        await daemon.say("a", "hello")
        await daemon.tool("a", "create_session", provider_template="scripted", **made)
        await daemon.tool("a", "delegate_task_async", target_session="made", task="do it")
        await daemon.post("/api/messages", to="b", content="hello")
        await daemon.ask("PATCH", "/api/sessions/b", json={"hiddenFromAgents": True})
        await daemon.idle()
        await daemon.post("/api/messages/compact")
        assert (tmp_path / "state/clawd.sock").exists()
        modes = modes_below(tmp_path, "state", "workspaces")
        wrong = {
            name: oct(mode)
            for name, mode in modes.items()
            if stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600)
        }
    assert wrong == {}
    assert {
        "state/lock",
        "state/tasks.jsonl",
        "state/clawd.sock",
        "workspaces/made/SOUL.md",
    } <= set(modes)
    assert "workspaces/b/session_messages.jsonl" in modes
    assert "workspaces/a/logs/session.log" in modes


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A home that other users could reach, if its socket let them."""
    folder = Path(tempfile.mkdtemp(prefix="clawd-open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(
    os.getuid() != 0 or not sys.platform.startswith("linux") or shutil.which("setpriv") is None,
    reason="needs root, Linux and setpriv to become another user",
)
async def test_another_user_is_refused(model: ScriptedModel, open_home: Path) -> None:
    """The socket's mode keeps others out; were it opened by hand, the daemon cuts them off."""
    write_config(open_home, scripted(model.url, "a"))
    script = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "s.sendall(b'GET /api/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(len(s.recv(99)))"
    )
    async with RunningDaemon(open_home) as daemon:
        path = open_home / "state/clawd.sock"

        async def ask() -> str:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
                *("/usr/bin/env", "python3", "-c", script, str(path)),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            return output.decode()

        assert "PermissionError" in await ask()
        (open_home / "state").chmod(0o755)
        assert "PermissionError" in await ask()
        path.chmod(0o666)
        answer = await ask()
        assert answer == "0\n" or "ConnectionResetError" in answer or "BrokenPipe" in answer, answer
        assert (await daemon.get("/api/status"))["pid"] == daemon.pid


async def test_a_path_too_long_for_a_socket_is_pointed_to(
    model: ScriptedModel, tmp_path: Path
) -> None:
    """Under a deep home the socket is in the user's runtime folder, named in ``state/socket``."""
    home = tmp_path / ("deep" * 20) / ("deeper" * 10)
    home.mkdir(parents=True)
    write_config(home, scripted(model.url, "a"))
    with tempfile.TemporaryDirectory(prefix="clawd-run-") as runtime:
        async with RunningDaemon(home, environ={"XDG_RUNTIME_DIR": runtime}) as daemon:
            with (home / "state/socket").open(encoding="utf-8") as pointer:
                named = Path(pointer.read().strip())
            assert named.parent == Path(runtime) / "clawd"
            modes = [os.stat(p).st_mode for p in (named.parent, named, home / "state/socket")]
            assert [stat.S_IMODE(mode) for mode in modes] == [0o700, 0o600, 0o600]
            assert await daemon.say("a", "hello") == "ok"
            assert (await daemon.get("/api/status"))["socket"] == str(named)
        assert "socket" not in os.listdir(home / "state")
        assert os.listdir(named.parent) == []


async def test_a_runtime_folder_of_others_is_not_used(model: ScriptedModel, tmp_path: Path) -> None:
    """A folder that others may write to is refused with its mend."""
    home = tmp_path / ("deep" * 20) / ("deeper" * 10)
    home.mkdir(parents=True)
    write_config(home, scripted(model.url, "a"))
    with tempfile.TemporaryDirectory(prefix="clawd-run-") as runtime:
        (Path(runtime) / "clawd").mkdir()
        (Path(runtime) / "clawd").chmod(0o777)
        with pytest.raises(DaemonDied, match="chmod 700") as died:
            await RunningDaemon(home, environ={"XDG_RUNTIME_DIR": runtime}).start()
    assert died.value.exit_status == 1
    assert "Traceback" not in died.value.output


async def test_a_stop_waits_for_nobody_for_long(start: Start, model: ScriptedModel) -> None:
    """R09: with an open event stream and a model that hangs it ends within ten seconds, exit 0."""
    model.script("a", [hang()])
    daemon = await start("a")
    turn = await daemon.prompt("a", "hello")
    await model.request(1)
    async with open_stream(daemon) as stream:
        daemon.signal(signal.SIGTERM)
        began = time.perf_counter()
        async with asyncio.timeout(10):
            assert await daemon.gone() == 0
            assert await stream.read()  # the stream has an end
        assert time.perf_counter() - began < 10
    assert not (daemon.home / "state/clawd.sock").exists()

    # What the stop interrupted goes on.
    await daemon.start()
    assert await daemon.ended(turn) == "ok"
    assert [e["run_id"] for e in daemon.named("run_started")] == [turn, turn]
    assert len(model.requests) == 2


async def test_a_stop_ends_a_tool_that_runs(start: Start, model: ScriptedModel) -> None:
    """A call that the stop cut off has one result in the transcript, and the turn goes on."""
    model.script(
        "a",
        [call("send_message_to_session", target_session="b", message="?", wait_seconds=60)],
    )
    model.script("b", [hang()])
    daemon = await start("a", "b")
    turn = await daemon.prompt("a", "ask b")
    await model.wait_for(lambda r: r.model == "b")
    assert await daemon.stop() == 0
    await daemon.start()
    assert await daemon.ended(turn) == "ok"
    last = model.of("a")[-1]
    assert last.refused == ""
    results = [m for m in last.body["messages"] if m["role"] == "tool"]
    assert len(results) == 1


async def test_a_second_signal_ends_it_at_once(start: Start, model: ScriptedModel) -> None:
    """While it drains a first SIGTERM is being kept waiting; the second does not wait."""
    model.script("a", [hang()])
    daemon = await start("a")
    await daemon.prompt("a", "hello")
    await model.request(1)
    await daemon.post("/api/stop", drainSeconds=60)
    daemon.signal(signal.SIGTERM)
    async with asyncio.timeout(2):
        assert await daemon.gone() == 143


async def test_a_drain_lets_the_turn_end(start: Start, model: ScriptedModel) -> None:
    """``drainSeconds`` gives the running turn its time, and no more turns begin."""
    gate = model.hold("a")
    daemon = await start("a")
    await daemon.prompt("a", "one")
    await gate.reached()
    second = await daemon.prompt("a", "two")
    await daemon.post("/api/stop", drainSeconds=20)
    gate.open()
    async with asyncio.timeout(10):
        assert await daemon.gone() == 0
    history = (daemon.home / "workspaces/a/history.jsonl").read_text(encoding="utf-8")
    said = [
        record["message"]["content"]
        for record in map(json.loads, history.splitlines())
        if record.get("message", {}).get("role") == "assistant"
    ]
    assert said == ["ok"]
    await daemon.start()
    assert await daemon.ended(second) == "ok"
    assert len(model.requests) == 2
