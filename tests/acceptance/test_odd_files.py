"""Files that are not what they should be harm their own session alone, and are named."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import ApiError, DaemonDied, RunningDaemon, Start
from clawd.testing.homes import lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel

QUIET: dict[str, Any] = {"a2a": {"wakeOnMessage": False}}
OUTSIDE = b"not a log, and nobody may touch it\n"


def _socket(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as channel:
        channel.bind(f"{folder}/s")
        os.rename(f"{folder}/s", path)


def _linked(path: Path) -> None:
    outside = path.parent.parent / "outside.txt"
    outside.write_bytes(OUTSIDE)
    path.symlink_to(outside)


SHAPES: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "link": _linked,
    "dangling": lambda path: path.symlink_to("/nowhere/at/all"),
    "circle": lambda path: path.symlink_to(path),
    "socket": _socket,
}
if os.geteuid() == 0:
    SHAPES["device"] = lambda path: os.mknod(path, 0o20600, os.makedev(1, 5))  # /dev/zero
else:
    SHAPES["unreadable"] = lambda path: path.touch(0o000)


def path_of(home: Path, session: str) -> Path:
    """The odd file of a session that is named after it: ``mail-pipe``, ``talk-folder``."""
    name = "session_messages.jsonl" if session.startswith("mail") else "history.jsonl"
    return home / "workspaces" / session / name


async def test_an_odd_mailbox_or_transcript_parks_its_session_alone(start: Start) -> None:
    """Whatever stands where a log should be: named in status, refused to senders, no wait.

    The others go on, nothing outside is touched, and once it is mended the session is back.
    """
    odd = [f"{part}-{shape}" for part in ("mail", "talk") for shape in SHAPES]
    daemon = await start("good", *odd, **dict.fromkeys(odd, QUIET))
    home = daemon.home
    await daemon.stop()
    for session in odd:
        path = path_of(home, session)
        path.unlink(missing_ok=True)
        SHAPES[session.partition("-")[2]](path)
    began = time.perf_counter()
    await daemon.start()
    assert time.perf_counter() - began < 10

    assert await daemon.say("good", "hello") == "ok"
    await daemon.idle("good")
    listed = {s["id"]: s for s in (await daemon.get("/api/sessions"))["items"]}
    assert {i: s["status"] for i, s in listed.items()} == {
        "good": "idle",
        **dict.fromkeys(odd, "failed"),
    }
    status = await daemon.get("/api/status")
    assert status["sessions"]["failed"] == len(odd)
    said = "\n".join(notice["text"] for notice in status["notices"])
    for session in odd:
        assert str(path_of(home, session)) in said, session
        assert listed[session]["failed"], session
        with pytest.raises(ApiError, match=session) as refused:
            await daemon.prompt(session, "anybody there?")
        assert refused.value.code == "session_failed"
    for session in odd:
        sent = await daemon.tool(
            "good", "send_message_to_session", target_session=session, message="?"
        )
        if session.startswith("mail"):
            assert sent["error"] == "storage_error", session
            assert str(path_of(home, session)) in sent["message"], session
        else:
            assert sent["state"] == "stored", session
    assert (home / "workspaces/outside.txt").read_bytes() == OUTSIDE

    for session in ("mail-pipe", "talk-folder"):
        path = path_of(home, session)
        path.rename(path.with_name("aside"))
        restarted = await daemon.post(f"/api/sessions/{session}/restart")
        assert (restarted["status"], restarted["failed"]) == ("idle", None)
        assert await daemon.say(session, "back?") == "ok"
    with pytest.raises(ApiError, match="mail-link"):
        await daemon.post("/api/sessions/mail-link/restart")


async def test_a_workspace_in_which_nothing_can_be_kept_parks_its_session_alone(
    model: ScriptedModel, tmp_path: Path
) -> None:
    """B13: a file, a link or a dangling link where the workspace should be; no ghost folders."""
    write_config(tmp_path, scripted(model.url, "good", "file", "dangling", "through"))
    async with RunningDaemon(tmp_path) as daemon:
        assert await daemon.say("file", "hello") == "ok"
    for name in ("file", "dangling", "through"):
        (tmp_path / "workspaces" / name).rename(tmp_path / name)
    (tmp_path / "workspaces/file").write_text("in the way")
    (tmp_path / "workspaces/dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "workspaces/through").symlink_to(tmp_path / "workspaces/file")
    async with RunningDaemon(tmp_path) as daemon:
        assert await daemon.say("good", "hello") == "ok"
        listed = (await daemon.get("/api/sessions"))["items"]
        failed = {s["id"]: s["failed"] for s in listed if s["status"] == "failed"}
        assert set(failed) == {"file", "dangling", "through"}
        assert all(f"workspaces/{name}" in why for name, why in failed.items())
    assert (tmp_path / "workspaces/file").read_text() == "in the way"
    assert not (tmp_path / "nowhere").exists()


async def test_a_line_of_fifty_megabytes_is_set_aside(start: Start) -> None:
    """B39: it is reported with its place and never held in memory; the session runs."""
    daemon = await start("good", "big")
    assert await daemon.say("big", "hello") == "ok"
    await daemon.stop()
    path = daemon.home / "workspaces/big/history.jsonl"
    whole = path.read_bytes()
    lines = whole.count(b"\n")
    with path.open("ab") as file:
        for _ in range(50):
            file.write(b"x" * 2**20)
        file.write(b"\n")
    await daemon.start()
    assert await daemon.say("big", "still here?") == "ok"
    said = [n["text"] for n in (await daemon.get("/api/status"))["notices"]]
    place = f"line {lines + 1} (byte {len(whole)})"
    assert any(str(path) in text and place in text and "longer than" in text for text in said)
    assert path.read_bytes().startswith(whole)
    assert lines_of(path)


@pytest.mark.parametrize("name", ["tasks.jsonl", "sessions.jsonl", "operator_messages.jsonl"])
@pytest.mark.parametrize("shape", ["folder", "pipe", "dangling"])
async def test_an_odd_file_in_state_is_named_with_its_mend(
    name: str, shape: str, model: ScriptedModel, tmp_path: Path
) -> None:
    """Without the daemon's own logs there is no daemon: one line that names file and mend."""
    write_config(tmp_path, scripted(model.url, "a"))
    (tmp_path / "state").mkdir(mode=0o700)
    SHAPES[shape](tmp_path / "state" / name)
    with pytest.raises(DaemonDied) as died:
        await RunningDaemon(tmp_path).start()
    assert died.value.exit_status == 1
    assert str(tmp_path / "state" / name) in died.value.output
    assert "put a regular file in its place" in died.value.output
    assert "Traceback" not in died.value.output


@pytest.mark.parametrize("shape", ["folder", "pipe"])
@pytest.mark.parametrize("name", ["keys.json", "config.last-good.json", "socket", "logs"])
async def test_an_odd_file_beside_the_logs_holds_up_no_start(
    name: str, shape: str, model: ScriptedModel, tmp_path: Path
) -> None:
    """What can be made anew, or done without, is: never waited for, and named where it matters."""
    write_config(tmp_path, scripted(model.url, "a"))
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "state" / name
    SHAPES[shape](path)
    async with RunningDaemon(tmp_path) as daemon:
        assert await daemon.say("a", "hello") == "ok"
        problems = (await daemon.get("/api/status"))["config"]["problems"]
        if shape == "folder" and name.endswith(".json"):
            assert any(str(path) in problem for problem in problems)


@pytest.mark.parametrize("shape", ["folder", "pipe"])
@pytest.mark.parametrize("name", ["lock", "daemon.log"])
def test_what_no_start_can_do_without_is_named(name: str, shape: str, tmp_path: Path) -> None:
    """One line with the path and the mend, at once."""
    write_config(tmp_path, scripted("http://127.0.0.1:9/v1", "a"))
    (tmp_path / "state").mkdir(mode=0o700)
    SHAPES[shape](tmp_path / "state" / name)
    line = [sys.executable, "-m", "clawd", "start", "--home", str(tmp_path)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert f"state/{name}" in ended.stderr
    assert "remove it" in ended.stderr
    assert "unexpected" not in ended.stderr
