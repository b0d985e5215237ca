"""`a2a.encrypt`: what a session says and hears is sealed on disk, and readable to those who may."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel, call, error, fail, say
from clawd.testing.reload import read_config, reloaded

CANARY = "the-heron-lands-at-noon"
PRIVATE = {"a2a": {"encrypt": True}}


def key_file(home: Path, name: str = "content.key") -> str:
    """A new key in a file of the home; the reference to it."""
    path = home / name
    path.write_text(secrets.token_urlsafe(32))
    path.chmod(0o600)
    return f"file:{name}"


@pytest.fixture
async def house(model: ScriptedModel, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    """A daemon with a private session ``a``, a private one ``b``, and an open one ``c``."""
    home = tmp_path / "home"
    home.mkdir()
    config = scripted(model.url, "a", "b", "c", a=PRIVATE, b=PRIVATE, log={"level": "debug"})
    config["encryption"] = {"key": key_file(home)}
    write_config(home, config)
    async with RunningDaemon(home) as daemon:
        yield daemon


def files_with(home: Path, text: str) -> list[str]:
    """The files below a home in which a text stands."""
    return [
        str(path.relative_to(home))
        for path in sorted(home.rglob("*"))
        if path.is_file() and text in path.read_text(encoding="utf-8", errors="replace")
    ]


def file(daemon: RunningDaemon, session: str, name: str = "history.jsonl") -> Path:
    """A file of a session."""
    return daemon.home / "workspaces" / session / name


async def test_what_is_said_is_in_no_file(house: RunningDaemon, model: ScriptedModel) -> None:
    """Lines, answers, tools, mail, tasks, results, failures: on disk only ids, times and states."""
    model.script(
        "a",
        [
            call("send_message_to_session", target_session="b", message=f"psst {CANARY}"),
            call("delegate_task_async", target_session="b", task=CANARY, context={"x": CANARY}),
            call("send_message_to_session", target_session="operator", message=CANARY),
            call("no_such_tool", text=CANARY),
            say(f"told {CANARY}"),
            fail(400, error(f"I cannot read {CANARY}")),
            *(fail(500, error(f"busy with {CANARY}")) for _ in range(9)),
        ],
    )
    model.rule("b", lambda body: say(f"heard {CANARY}"))
    assert CANARY in await house.say("a", f"remember {CANARY}")
    await house.idle()
    for _ in range(2):
        with pytest.raises(ApiError, match=CANARY):
            await house.say("a", f"once more {CANARY}")
    task = await house.post("/api/tasks", toSession="b", task=f"do {CANARY}")
    await house.task(task["id"])
    await house.post("/api/messages", to="a", content=f"hello {CANARY}")
    await house.idle()
    await house.post("/api/sessions/a/compact")
    await house.post("/api/messages/compact")
    assert files_with(house.home, CANARY) == []
    lines = lines_of(file(house, "a", "session_messages.jsonl"))
    assert {line["from"] for line in lines} == {"b", "operator"}
    assert all(line["content"] == "" and line["sealed"] for line in lines)
    assert [line["status"] for line in lines_of(house.home / "state/tasks.jsonl")]
    log = lines_of(file(house, "a", "logs/session.log"))
    assert {"run_started", "run_finished", "tool_call_end", "session_message"} <= {
        line["event"] for line in log
    }

    await house.stop()
    assert files_with(house.home, CANARY) == []
    await house.start()
    found = [await house.get("/api/sessions/a/transcript"), await house.get("/api/tasks")]
    found += [
        await house.get("/api/messages", **query)
        for query in ({"session": "a"}, {"session": "operator"}, {"session": "a", "query": CANARY})
    ]
    assert all(CANARY in json.dumps(part) for part in found)
    shown = json.dumps(found)
    assert "[sealed" not in shown
    await house.say("a", "what was it?")
    assert CANARY in json.dumps(model.of("a")[-1].body)


async def test_the_mailbox_of_the_receiver_decides(
    house: RunningDaemon, model: ScriptedModel
) -> None:
    """What a private session sends to an open one is plain there, sealed in its own transcript."""
    model.script(
        "a", [call("send_message_to_session", target_session="c", message=CANARY), say("done")]
    )
    await house.say("a", "go")
    await house.idle()
    found = files_with(house.home, CANARY)
    assert "workspaces/c/session_messages.jsonl" in found
    assert {name.split("/")[1] for name in found} == {"c"}


async def test_without_its_key_a_session_alone_is_held(
    house: RunningDaemon, model: ScriptedModel
) -> None:
    """It says what is missing, its files stay byte for byte; with the key it goes on by itself."""
    await house.say("a", f"remember {CANARY}")
    await house.post("/api/messages", to="b", content="a word")
    task = (await house.post("/api/tasks", toSession="a", task=f"do {CANARY}"))["id"]
    await house.task(task)
    await house.idle()
    await house.stop()
    files = [
        path for path in (house.home / "workspaces").rglob("*.jsonl") if "/c/" not in str(path)
    ]
    before = {path: path.read_bytes() for path in files}
    key = house.home / "content.key"
    kept = key.read_text()

    for wrong, words in ((None, "content.key"), (secrets.token_urlsafe(32), "is sealed with key")):
        key.unlink()
        if wrong is not None:
            key.write_text(wrong)
        else:
            key.symlink_to("nowhere")
        await house.start()
        session = await house.get("/api/sessions/a")
        assert session["status"] == "failed"
        assert words in session["failed"]
        for ask in (
            house.say("a", "hello"),
            house.post("/api/messages", to="b", content="hello"),
        ):
            with pytest.raises(ApiError) as refused:
                await ask
            assert "key" in str(refused.value)
        assert await house.say("c", "hello") == "ok"
        shown = await house.get(f"/api/tasks/{task}")
        assert shown["task"] == "[sealed with a key that is not there]"
        assert {path: path.read_bytes() for path in files} == before
        if wrong is None:
            await house.stop()
    key.unlink()
    key.write_text(kept)
    await house.post("/api/sessions/b/restart")
    assert (await house.get("/api/sessions/b"))["status"] != "failed"
    config = read_config(house)
    config["retention"] = {"tasksHours": 30}
    await reloaded(house, config)
    assert await house.say("a", "what was it?") == "ok"
    assert CANARY in json.dumps(model.of("a")[-1].body)


async def test_keys_rotate(house: RunningDaemon) -> None:
    """The new key seals, the old one opens; after a compaction the old one is not needed."""
    await house.say("a", f"first {CANARY}")
    await house.post("/api/messages", to="b", content=CANARY)
    await house.idle()
    old = {line["sealed"].split(".")[1] for line in lines_of(file(house, "a")) if "sealed" in line}
    assert len(old) == 1
    config = read_config(house)
    config["encryption"] = {"key": key_file(house.home, "new.key"), "oldKeys": ["file:content.key"]}
    await reloaded(house, config)
    await house.say("a", f"second {CANARY}")
    await house.idle()
    text = file(house, "a").read_text()
    assert text.count(f'"1.{old.pop()}.') > 0
    await house.post("/api/messages/compact")
    del config["encryption"]["oldKeys"]
    await reloaded(house, config)
    await house.stop()
    (house.home / "content.key").unlink()
    await house.start()
    said = json.dumps(await house.get("/api/sessions/a/transcript"))
    assert f"first {CANARY}" in said
    assert f"second {CANARY}" in said
    assert CANARY in json.dumps(await house.get("/api/messages", session="b"))


async def test_turning_it_on_and_off(house: RunningDaemon) -> None:
    """What was plain stays readable and is sealed by a compaction; turned off it is plain again."""
    await house.say("c", f"plain {CANARY}")
    await house.post("/api/messages", to="c", content=f"mail {CANARY}")
    await house.idle()
    config = read_config(house)
    config["sessions"]["c"]["a2a"] = {"encrypt": True}
    await reloaded(house, config)
    await house.say("c", "from now on sealed-words")
    await house.idle()
    assert "sealed-words" not in file(house, "c").read_text()
    assert CANARY in file(house, "c").read_text()
    lines = len(lines_of(file(house, "c")))
    await house.post("/api/messages/compact", session="c")
    assert CANARY not in file(house, "c").read_text()
    assert CANARY not in file(house, "c", "session_messages.jsonl").read_text()
    assert len(lines_of(file(house, "c"))) == lines
    del config["sessions"]["c"]["a2a"]
    await reloaded(house, config)
    await house.stop()
    await house.start()
    said = json.dumps(await house.get("/api/sessions/c/transcript"))
    assert CANARY in said
    assert "sealed-words" in said
    await house.post("/api/messages/compact", session="c")
    assert CANARY in file(house, "c").read_text()
    assert '"sealed"' not in file(house, "c").read_text()


async def test_a_seal_fits_its_own_record_alone(house: RunningDaemon) -> None:
    """Seals that were swapped or damaged are bad lines: set aside and named, the rest loads."""
    for number in range(3):
        await house.say("a", f"line {number} {CANARY}")
    await house.idle()
    await house.stop()
    path = file(house, "a")
    lines = lines_of(path)
    said = [
        line for line in lines if line["type"] == "message" and line["message"]["role"] == "user"
    ]
    first, second, third = said
    first["sealed"], second["sealed"] = second["sealed"], first["sealed"]
    third["sealed"] = third["sealed"][:-8] + "AAAAAAA="
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    await house.start()
    transcript = json.dumps(await house.get("/api/sessions/a/transcript"))
    assert not [n for n in range(3) if f"line {n} " in transcript]
    assert "ok" in transcript
    rejected = lines_of(path.with_name("history.jsonl.rejected"))
    assert len(rejected) == 3
    assert all("seal" in line["reason"] for line in rejected)
    assert CANARY not in json.dumps(rejected)
    assert await house.say("a", "go on") == "ok"


async def test_without_the_library_the_configuration_says_what_to_install(
    model: ScriptedModel, tmp_path: Path
) -> None:
    """The extra is asked for by name; who seals nothing never needs it."""
    code = (
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'cryptography' else real(n, *a)\n"
        "from clawd.config.loader import load; from pathlib import Path; import sys\n"
        "print(*load(Path(sys.argv[1]), {}).problems, sep='\\n')"
    )
    told = []
    for more in ({}, {"a": PRIVATE}):
        write_config(tmp_path, scripted(model.url, "a", "b", **more))
        command = [sys.executable, "-c", code, str(tmp_path)]
        ended = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=True
        )
        told.append(ended.stdout)
    assert told[0].strip() == ""
    assert "sessions.a.a2a.encrypt" in told[1]
    assert "pip install 'clawd-daemon[encrypt]'" in told[1]
