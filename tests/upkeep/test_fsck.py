"""``clawd fsck``: everything is looked at, nothing is changed unasked, nothing is ever deleted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import RunningDaemon
from clawd.testing.homes import lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel
from clawd.upkeep.places import survey

JSON = dict[str, Any]
QUIET: JSON = {"a2a": {"wakeOnMessage": False}}


def fsck(home: Path, *words: str) -> tuple[int, JSON]:
    """``clawd fsck --json WORDS``: the exit code and the document."""
    line = [sys.executable, "-m", "clawd", "fsck", "--home", str(home), "--json", *words]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr == ""
    document: JSON = json.loads(ended.stdout)
    return ended.returncode, document


def snapshot(home: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a home: mode, time of change, content."""
    found = {}
    for path in sorted(home.rglob("*")):
        facts = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (facts.st_mode, facts.st_mtime_ns, content)
    return found


def findings(document: JSON, name: str) -> list[JSON]:
    """What was found about a file, by the end of its path."""
    return [
        f for item in document["items"] if item["path"].endswith(name) for f in item["findings"]
    ]


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home in which sessions have talked, sent, delegated and been made; no daemon runs."""
    async with ScriptedModel() as model:
        write_config(tmp_path, scripted(model.url, "a", "b", b=QUIET))
        async with RunningDaemon(tmp_path) as daemon:
            for text in ("one", "two"):
                await daemon.say("a", text)
                await daemon.tool("a", "send_message_to_session", target_session="b", message=text)
            made = dict.fromkeys(("session_id", "name"), "made")
            await daemon.tool("a", "create_session", provider_template="scripted", **made)
            task = await daemon.tool("a", "delegate_task_async", target_session="made", task="do")
            await daemon.task(task["taskId"])
            await daemon.post("/api/messages", to="b", content="from you")
            await daemon.post("/api/messages", to="operator", content="to you", **{"from": "a"})
            await daemon.idle()
    return tmp_path


async def test_a_good_home_is_clean_and_no_log_is_left_out(home: Path) -> None:
    """Exit 0, every log of the home is in the report with its counts, and nothing has changed."""
    before = snapshot(home)
    code, document = fsck(home)
    assert (code, document["ok"], document["damage"]) == (0, True, 0)
    assert snapshot(home) == before
    looked = {item["path"] for item in document["items"] if item["lines"]}
    on_disk = {name for name in before if name.endswith(".jsonl") and before[name][2]}
    assert looked == on_disk
    assert all(place.known for place in survey(home).logs), "a log whose kind fsck does not know"
    for item in document["items"]:
        if item["lines"]:
            lines = lines_of(Path(item["path"]))
            assert item["lines"] == len(lines)
            assert item["records"] == len({line["id"] for line in lines})


async def test_damage_is_shown_first_and_mended_only_when_asked(home: Path) -> None:
    """R04: file, line, byte and reason; a second look finds the same; --repair keeps every byte."""
    box = home / "workspaces/b/session_messages.jsonl"
    talk = home / "workspaces/a/history.jsonl"
    good = box.read_bytes()
    lines = good.split(b"\n")
    foreign = lines[0].replace(b'"to":"b"', b'"to":"zz"').replace(b'"id":"msg', b'"id":"mine')
    box.write_bytes(b"\n".join([foreign, b"rubbish", *lines]) + b'{"id":"torn"')
    talk.chmod(0o644)
    (home / "workspaces/made/history.jsonl").rename(home / "aside")
    os.mkfifo(home / "workspaces/made/history.jsonl")
    before = snapshot(home)

    code, document = fsck(home)
    assert (code, document["ok"]) == (1, False)
    assert snapshot(home) == before
    found = findings(document, "b/session_messages.jsonl")
    assert [(f["line"], f["offset"]) for f in found] == [
        (1, 0),
        (2, len(foreign) + 1),
        (len(lines) + 2, box.stat().st_size - 12),
    ]
    assert "addressed to 'zz'" in found[0]["text"]
    assert "not JSON" in found[1]["text"]
    assert "incomplete" in found[2]["text"]
    assert "mode 0644" in findings(document, "a/history.jsonl")[0]["text"]
    assert "a pipe" in findings(document, "made/history.jsonl")[0]["text"]

    code, document = fsck(home, "--repair")
    assert (code, document["damage"], document["mended"]) == (0, 0, 5)
    assert box.read_bytes() == good
    kept = lines_of(box.with_name(f"{box.name}.rejected"))
    assert [entry["text"].encode() for entry in kept] == [foreign, b"rubbish"]
    (torn,) = box.parent.glob("session_messages.jsonl.torn-*")
    assert torn.read_bytes() == b'{"id":"torn"'
    assert talk.stat().st_mode & 0o777 == 0o600
    assert len(list((home / "workspaces/made").glob("history.jsonl.aside-*"))) == 1
    code, document = fsck(home)
    assert (code, document["damage"]) == (0, 0)
    assert document["notes"] >= 3


async def test_a_flipped_bit_that_still_parses_is_found(home: Path) -> None:
    """R04: by the checksums that the daemon noted; --repair takes the line as it is now."""
    flipped(home)
    code, document = fsck(home)
    (found,) = findings(document, "b/session_messages.jsonl")
    assert (code, found["code"], found["line"]) == (1, "changed", 2)
    code, document = fsck(home, "--repair")
    assert (code, document["mended"]) == (0, 1)
    assert fsck(home)[0] == 0
    async with RunningDaemon(home) as daemon:
        await daemon.post("/api/messages/compact")
        await daemon.idle()
    assert fsck(home)[0] == 0


async def test_while_a_daemon_runs_it_looks_and_leaves_the_rest_to_it(home: Path) -> None:
    """Read-only beside a daemon; --repair is refused with the mend, and nothing was changed."""
    async with RunningDaemon(home) as daemon:
        await daemon.idle()
        code, document = fsck(home)
        assert (code, document["daemon"]) == (0, daemon.pid)
        before = (home / "state/lock").read_bytes()
        code, document = fsck(home, "--repair")
        assert code == 1
        assert document["error"]["code"] == "already_running"
        assert "clawd stop" in document["error"]["hint"]
        assert (home / "state/lock").read_bytes() == before


def twice(home: Path) -> None:
    """The same message in two mailboxes."""
    box = home / "workspaces/b/session_messages.jsonl"
    other = home / "state/operator_messages.jsonl"
    with other.open("ab") as file:
        file.write(
            box.read_bytes().split(b"\n")[0].replace(b'"to":"b"', b'"to":"operator"') + b"\n"
        )


def gone(home: Path) -> None:
    """An open turn for a message that nobody has."""
    path = home / "workspaces/a/history.jsonl"
    turn = next(line for line in lines_of(path) if line["type"] == "turn")
    trigger = {"kind": "message", "source": "b", "ids": ["msg-gone"]}
    with path.open("a") as file:
        file.write(
            json.dumps(turn | {"id": "turn-x", "status": "waiting", "trigger": trigger}) + "\n"
        )


def later_version(home: Path) -> None:
    """A log of a part that this version does not have."""
    (home / "state/later.jsonl").write_text('{"id":"x","v":2}\nnot yet JSON\n')
    (home / "state/later.jsonl").chmod(0o600)


def flipped(home: Path) -> None:
    """One bit of a text: the line still parses."""
    path = home / "workspaces/b/session_messages.jsonl"
    with path.open("r+b") as file:
        at = path.read_bytes().rindex(b'"content":"two"') + 12
        file.seek(at)
        file.write(b"u")


def keys(home: Path) -> None:
    """A state file that is no JSON."""
    (home / "state/keys.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "name", "code", "severity", "words"),
    [
        (twice, "b/session_messages.jsonl", "twice", "damage", "stands in"),
        (gone, "a/history.jsonl", "gone", "note", "msg-gone"),
        (later_version, "state/later.jsonl", "unknown_line", "note", "not JSON"),
        (flipped, "b/session_messages.jsonl", "changed", "damage", "its checksum differs"),
        (keys, "keys.json", "unreadable", "damage", "move it away"),
    ],
)
async def test_what_does_not_fit_together_is_told(
    home: Path, change: Callable[[Path], None], name: str, code: str, severity: str, words: str
) -> None:
    """References into nothing, ids that two have, and files of another version."""
    change(home)
    exit_code, document = fsck(home)
    told = {f["code"]: f for f in findings(document, name)}
    assert told[code]["severity"] == severity
    assert words in told[code]["text"]
    assert exit_code == (severity == "damage")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder as a file system that takes nothing."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting read-only needs root")
async def test_what_cannot_be_mended_is_said_and_left(home: Path) -> None:
    """A disk that takes nothing: exit 1, the reason beside each finding, no traceback."""
    box = home / "workspaces/b"
    (box / "session_messages.jsonl").chmod(0o644)
    with (box / "session_messages.jsonl").open("ab") as file:
        file.write(b"rubbish\n")
    with read_only(box):
        code, document = fsck(home, "--repair")
    assert code == 1
    told = {f["code"]: f["text"] for f in findings(document, "b/session_messages.jsonl")}
    assert "read-only file system" in told["open_to_others"]
    assert "left as it is" in told["line"]
    assert "read-only" in told["line"]


def test_without_a_home_it_says_so(tmp_path: Path) -> None:
    """Exit 5 and the mend; nothing is made."""
    code, document = fsck(tmp_path / "nowhere")
    assert code == 5
    assert "clawd init" in document["error"]["hint"]
    assert not (tmp_path / "nowhere").exists()


def test_it_loads_no_model_client_and_no_server() -> None:
    """It reads the logs and the configuration; it neither asks a model nor serves anyone."""
    program = "import sys, clawd.upkeep.fsck; print(*sys.modules)"
    line = [sys.executable, "-c", program]
    loaded = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()
    assert not {"openai", "starlette", "uvicorn", "httpx2", "aiohttp", "watchfiles"} & set(loaded)
