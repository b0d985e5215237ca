"""What the operator saves is in force within two seconds, or changes nothing and is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import JSON, ApiError, RunningDaemon, Start
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel
from clawd.testing.reload import SECONDS, noticed, read_config, reloaded


async def broken(daemon: RunningDaemon, text: str | bytes) -> list[str]:
    """Save what is broken; what the daemon says of it within two seconds."""
    seen = len(daemon.named("notice"))
    unfinished = daemon.home / ".config.json.new"
    unfinished.write_bytes(text if isinstance(text, bytes) else text.encode())
    unfinished.replace(daemon.home / "config.json")
    await noticed(daemon, "config_rejected", seen)
    status = await daemon.get("/api/status")
    assert status["config"]["state"] == "last good"
    problems: list[str] = status["config"]["problems"]
    return problems


async def codes(daemon: RunningDaemon) -> set[str]:
    """The codes of the notices that the status shows."""
    return {notice["code"] for notice in (await daemon.get("/api/status"))["notices"]}


async def test_one_typo_is_one_error_and_goes_when_it_is_mended(start: Start) -> None:
    """R10: no error that follows from it; another typo takes its place; mended, none is left."""
    daemon = await start("a", "b")
    good = read_config(daemon)
    text = (daemon.home / "config.json").read_text(encoding="utf-8")
    typo = text.replace('"sessions":', '"sessions" "x",', 1)
    (first,) = await broken(daemon, typo)
    assert "expected ':' after the key" in first
    (second,) = await broken(daemon, text.rstrip()[:-1])
    shown = (await daemon.get("/api/status"))["notices"]
    rejected = [n["text"] for n in shown if n["code"] == "config_rejected"]
    assert [text.startswith(second) for text in rejected] == [True]
    await reloaded(daemon, good)
    assert "config_rejected" not in await codes(daemon)


async def listed(daemon: RunningDaemon) -> dict[str, JSON]:
    """The sessions by id."""
    return {s["id"]: s for s in (await daemon.get("/api/sessions"))["items"]}


async def peers(daemon: RunningDaemon, session: str) -> set[str]:
    """Whom a session sees."""
    found = await daemon.tool(session, "list_agents")
    return {agent["id"] for agent in found["agents"]}


async def test_hide_add_remove_and_break(start: Start, model: ScriptedModel) -> None:
    """M30: hidden, added, removed, broken: each within two seconds, and no byte written by us."""
    daemon = await start("a", "b", "c")
    file = daemon.home / "config.json"
    assert await peers(daemon, "a") == {"b", "c"}

    await reloaded(
        daemon, scripted(model.url, "a", "b", "c", b={"a2a": {"hiddenFromAgents": True}})
    )
    assert await peers(daemon, "a") == {"c"}

    await reloaded(daemon, scripted(model.url, "a", "b", "c", "d"))
    assert await peers(daemon, "a") == {"b", "c", "d"}
    assert await daemon.say("d", "hello") == "ok"
    assert (daemon.home / "workspaces/d/history.jsonl").exists()

    await reloaded(daemon, scripted(model.url, "a", "b", "d"))
    await daemon.until(lambda e: e["event"] == "session_removed", seconds=SECONDS)
    assert set(await listed(daemon)) == {"a", "b", "d"}
    assert (await daemon.tool("a", "send_message_to_session", target_session="c", message="x"))[
        "error"
    ] == "unknown_session"

    before = (file.read_bytes(), file.stat().st_ino)
    problems = await broken(daemon, b'{"sessions": {"a": {]')
    assert "config.json:1:" in problems[0]
    assert set(await listed(daemon)) == {"a", "b", "d"}
    assert await daemon.say("a", "still there?") == "ok"
    assert file.read_bytes() == b'{"sessions": {"a": {]'

    write_config(daemon.home, json.loads(before[0]))
    await noticed(daemon, "config_reloaded", 0)
    saved = (file.read_bytes(), file.stat().st_ino)
    await daemon.post("/api/sessions", session_id="e", provider_template="scripted")
    await daemon.ask("PATCH", "/api/sessions/b", json={"hiddenFromAgents": True})
    await daemon.stop()
    assert (file.read_bytes(), file.stat().st_ino) == saved


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda text: text[: len(text) // 2], "config.json:"),
        (
            lambda text: text.replace('"description": "The a"', '"enabled": "yes"'),
            "sessions.a.enabled",
        ),
        (lambda text: text.replace('"description"', '"descripton"', 1), "sessions.a.descripton"),
        (
            lambda text: text.replace('"sessions":', '"limits": {}, "limits": {}, "sessions":'),
            "limits",
        ),
        (lambda text: text.replace('"model": "a"', '"model": "z"'), "sessions.a.provider.model"),
        (lambda _: "", "empty"),
        (lambda _: b"\xff\xfe", "UTF-8"),
    ],
    ids=["half written", "wrong type", "unknown key", "duplicate key", "model", "empty", "bytes"],
)
async def test_a_broken_edit_names_its_place_and_changes_nothing(
    start: Start, model: ScriptedModel, edit: Any, place: str
) -> None:
    """R10: the place is in the status, a notice and the log; a running turn goes on untouched."""
    gate = model.hold("a")
    daemon = await start("a", "b")
    good = read_config(daemon)
    turn = await daemon.prompt("a", "hello")
    await gate.reached()
    text = (daemon.home / "config.json").read_text(encoding="utf-8")
    problems = await broken(daemon, edit(text))
    assert any(place in problem for problem in problems), problems
    notices = [e["text"] for e in daemon.named("notice") if e["code"] == "config_rejected"]
    assert [n.removesuffix(" (the last good configuration goes on)") for n in notices] == problems
    assert {"config_rejected"} <= await codes(daemon)
    gate.open()
    assert await daemon.ended(turn) == "ok"
    await reloaded(daemon, good)
    status = await daemon.get("/api/status")
    assert status["config"] == {"state": "ok", "problems": []}
    assert not [code for code in await codes(daemon) if code.startswith("config_")]
    await daemon.stop()
    log = (daemon.home / "state/logs/daemon.log").read_text(encoding="utf-8")
    told = [json.loads(line) for line in log.splitlines()]
    assert [t["text"] for t in told if t.get("code") == "config_rejected"] == notices


async def test_limits_are_those_of_the_file(start: Start, model: ScriptedModel) -> None:
    """A limit of a session, and one of the top, hold from the next use on."""
    daemon = await start("a", "b")
    config = read_config(daemon)
    await daemon.post("/api/messages", to="b", content="x" * 100)
    config["limits"] = {"maxMessageBytes": 50, "maxModelCallsPerTurn": 7}
    config["sessions"]["a"]["limits"] = {"maxModelCallsPerTurn": 3}
    await reloaded(daemon, config)
    with pytest.raises(ApiError, match="50") as caught:
        await daemon.post("/api/messages", to="b", content="x" * 100)
    assert caught.value.http == 400
    shown = [(await daemon.get(f"/api/sessions/{i}"))["limits"] for i in "ab"]
    assert [limits["maxModelCallsPerTurn"] for limits in shown] == [3, 7]
    assert [limits["maxMessageBytes"] for limits in shown] == [50, 50]


async def test_a_session_that_is_switched_off_waits_and_goes_on(
    start: Start, model: ScriptedModel
) -> None:
    """Disabled it is refused to others and runs nothing; enabled again it answers."""
    daemon = await start("a", "b")
    config = read_config(daemon)
    config["sessions"]["b"]["enabled"] = False
    await reloaded(daemon, config)
    assert (await listed(daemon))["b"]["status"] == "disabled"
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message="x")
    assert "error" in sent
    config["sessions"]["b"]["enabled"] = True
    await reloaded(daemon, config)
    assert await daemon.say("b", "hello") == "ok"


async def test_a_workspace_moves(start: Start, model: ScriptedModel) -> None:
    """From the next turn on the session lives in its new folder, and its tasks stay its own."""
    daemon = await start("a", "b")
    config = read_config(daemon)
    assert await daemon.say("b", "one") == "ok"
    config["sessions"]["b"]["workspace"] = "elsewhere/b"
    await reloaded(daemon, config)
    await daemon.until(
        lambda e: e["event"] == "session_created" and e["session"] == "b", seconds=SECONDS
    )
    (daemon.home / "elsewhere/b/SOUL.md").write_text("I moved.", encoding="utf-8")
    await daemon.until(lambda e: e.get("code") == "identity_changed", seconds=SECONDS)
    assert await daemon.say("b", "two") == "ok"
    assert "I moved." in model.requests[-1].body["messages"][0]["content"]
    assert (await listed(daemon))["b"]["workspace"] == str(daemon.home / "elsewhere/b")
    assert (daemon.home / "workspaces/b/history.jsonl").exists()
    assert (daemon.home / "elsewhere/b/history.jsonl").exists()
    assert not daemon.named("session_removed")


async def test_a_busy_session_that_is_removed_holds_nobody_up(
    start: Start, model: ScriptedModel
) -> None:
    """Its turn ends first; what else was saved is in force at once."""
    gate = model.hold("c")
    daemon = await start("a", "b", "c")
    turn = await daemon.prompt("c", "take your time")
    await gate.reached()
    await reloaded(daemon, scripted(model.url, "a", "b", b={"a2a": {"hiddenFromAgents": True}}))
    assert await peers(daemon, "a") == set()
    await reloaded(daemon, scripted(model.url, "a", "b"))
    assert await peers(daemon, "a") == {"b"}
    gate.open()
    assert await daemon.ended(turn) == "ok"
    await daemon.until(lambda e: e["event"] == "session_removed")
    assert set(await listed(daemon)) == {"a", "b"}


async def test_a_session_that_comes_back_while_it_leaves_is_there_again(
    start: Start, model: ScriptedModel
) -> None:
    """Removed and put back before its turn has ended: it is there, and answers."""
    gate = model.hold("b")
    daemon = await start("a", "b")
    turn = await daemon.prompt("b", "take your time")
    await gate.reached()
    await reloaded(daemon, scripted(model.url, "a"))
    await reloaded(daemon, scripted(model.url, "a", "b"))
    gate.open()
    assert await daemon.ended(turn) == "ok"
    await daemon.until(lambda e: e["event"] == "session_created" and e["session"] == "b")
    assert await daemon.say("b", "hello again") == "ok"
    assert await peers(daemon, "a") == {"b"}


async def test_keys_without_effect_are_told_once(start: Start, model: ScriptedModel) -> None:
    """Keys of parts that are not there load, and one line says so at the start and when changed."""
    daemon = await start("a", gateway={"enabled": True})
    first = await daemon.until(lambda e: e.get("code") == "config_inactive")
    assert "gateway" in first["text"]
    assert first.get("level", "info") == "info"
    config = read_config(daemon)
    config["sessions"]["a"]["description"] = "changed"
    await reloaded(daemon, config)
    config["bus"] = {"kind": "redis"}
    await reloaded(daemon, config)
    told = [e["text"] for e in daemon.named("notice") if e["code"] == "config_inactive"]
    assert len(told) == 2
    assert "bus" in told[1]


async def test_a_start_on_a_broken_file_uses_the_last_good_one(
    start: Start, model: ScriptedModel
) -> None:
    """R10: it is up with what was in force before, says so, and takes the mended file."""
    daemon = await start("a")
    good = read_config(daemon)
    await daemon.stop()
    (daemon.home / "config.json").write_text('{"sessions": {"a": {"enabled": 1}}', "utf-8")
    await daemon.start()
    status = await daemon.get("/api/status")
    assert status["config"]["state"] == "last good"
    assert "config.json:1:" in status["config"]["problems"][0]
    assert "last good" in status["notices"][0]["text"]
    assert await daemon.say("a", "hello") == "ok"
    await reloaded(daemon, good)
    assert (await daemon.get("/api/status"))["config"]["state"] == "ok"


async def test_the_last_good_copy_is_private(start: Start) -> None:
    """Nobody else reads it, and a key that is written in the file itself is not in it."""
    daemon = await start("a")
    copy = daemon.home / "state/config.last-good.json"
    assert copy.stat().st_mode & 0o777 == 0o600
    text, config = copy.read_text(encoding="utf-8"), read_config(daemon)
    assert config["providerTemplates"]["scripted"]["apiKey"] not in text
    assert json.loads(text)["sessions"] == config["sessions"]


async def test_a_created_session_is_watched(start: Start, model: ScriptedModel) -> None:
    """An edit in the workspace of a session made at run time is seen within two seconds."""
    daemon = await start("a")
    await daemon.post("/api/sessions", session_id="made", provider_template="scripted")
    (daemon.home / "workspaces/made/SOUL.md").write_text("Be kind.", encoding="utf-8")
    edited = await daemon.until(lambda e: e.get("code") == "identity_changed", seconds=SECONDS)
    assert edited["session"] == "made"
    assert "SOUL.md" in edited["text"]


def workspace(daemon: RunningDaemon, session: str) -> Path:
    """The folder of a session."""
    return daemon.home / "workspaces" / session


async def test_removed_workspaces_are_left_alone(start: Start, model: ScriptedModel) -> None:
    """An edit in the folder of a session that is gone says nothing."""
    daemon = await start("a", "b")
    await reloaded(daemon, scripted(model.url, "a"))
    await daemon.until(lambda e: e["event"] == "session_removed", seconds=SECONDS)
    (workspace(daemon, "b") / "SOUL.md").write_text("x", encoding="utf-8")
    (workspace(daemon, "a") / "SOUL.md").write_text("x", encoding="utf-8")
    edited = await daemon.until(lambda e: e.get("code") == "identity_changed", seconds=SECONDS)
    assert edited["session"] == "a"
    assert len([e for e in daemon.named("notice") if e["code"] == "identity_changed"]) == 1
