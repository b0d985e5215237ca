"""M35: schedules of a running daemon: one-shots, cron in a zone, busy sessions, failures, kills."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from tests.acceptance.scheduling import OFTEN, a_while, create, one, runs_of, settled, started

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.homes import latest, lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel, call, error, fail, say


async def test_a_session_wakes_itself(start: Start, model: ScriptedModel) -> None:
    """M35: asked in the chat, it sets a schedule and has a turn of its own at that time."""
    model.script(
        "a",
        [
            call("schedule_create", text="Look at the oven", once="in 0.3 seconds"),
            say("I will"),
            say("It is hot"),
        ],
    )
    daemon = await start("a", **OFTEN)
    assert await daemon.say("a", "Remind me of the oven") == "I will"
    event = await started(daemon)
    assert await daemon.ended(event["run_id"]) == "It is hot"
    (made,) = (await daemon.get("/api/schedules", session="a"))["items"]
    assert event["source"] == made["id"]
    asked = model.of("a")[-1].messages[-1]["content"]
    assert asked.startswith(f"[scheduled run {made['id']}, due {made['once']}")
    assert asked.endswith("set by you]\nLook at the oven")
    done = await settled(daemon, made["id"], lambda s: s["state"] == "done")
    assert (done["last"]["result"], done["runs"]) == ("ok", 1)
    turns = [e["trace"] for e in daemon.named("run_started")]
    assert len(set(turns)) == 2
    recent = (await daemon.get("/api/traces"))["items"]
    assert any("Look at the oven" in trace["cause"] for trace in recent), recent


async def test_a_moment_that_passed_runs_once(start: Start, tmp_path: Path) -> None:
    """M35: a one-shot of the configuration that is past due runs once, and not at later starts."""
    entry = {"id": "party", "once": "2020-01-01T00:00Z", "text": "Say happy birthday"}
    daemon = await start("a", "b", a={"schedules": [entry]})
    await daemon.ended((await started(daemon))["run_id"])
    await settled(daemon, "party", lambda s: s["state"] == "done")
    await daemon.stop()
    await daemon.start()
    await daemon.idle()
    assert runs_of(daemon.home) == ["2020-01-01T00:00:00.000Z"]


async def test_a_busy_session_has_one_run_waiting(start: Start, model: ScriptedModel) -> None:
    """M35: it waits behind what runs and behind the operator's lines; its times add up to one."""
    gate = model.hold("a")
    daemon = await start("a", **OFTEN)
    turn = await daemon.prompt("a", "work")
    await model.until(lambda: model.at_once["a"] == 1)
    name = await create(daemon, every="0.2 seconds")
    await settled(daemon, name, lambda s: s["state"] == "running")
    mine = await daemon.prompt("a", "and this")
    await a_while(daemon, 0.5)
    shown = await one(daemon, name)
    assert (shown["runs"], shown["state"]) == (1, "running")
    assert (await daemon.get("/api/sessions/a"))["queue"] == 2
    gate.open()
    await daemon.ended(turn)
    await daemon.ended(mine)
    await daemon.ended((await started(daemon))["run_id"])
    await daemon.post(f"/api/schedules/{name}/pause")
    order = [e["trigger"] for e in daemon.named("run_started", "a")]
    assert order[:3] == ["user", "user", "schedule"]


async def test_a_failing_run_backs_off_until_it_is_paused(
    start: Start, model: ScriptedModel
) -> None:
    """M35: pauses that double; five in a row and it stands still, with a notice and a way back."""
    model.rule("a", lambda _: fail(400, error("no", "invalid_request_error")))
    daemon = await start("a", **OFTEN)
    name = await create(daemon, every="0.1 seconds")
    shown = await settled(daemon, name, lambda s: s["state"] == "paused")
    assert (shown["failures"], shown["last"]["result"]) == (5, "failed")
    assert shown["reason"] == "paused after 5 failed runs in a row"
    due = [
        int(record["open"]["due"][17:19]) + float("0" + record["open"]["due"][19:23])
        for record in lines_of(daemon.home / "workspaces/a/schedules.jsonl")
        if "open" in record
    ]
    gaps = [(b - a) % 60 for a, b in pairwise(due)]
    assert [gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8), strict=True)] == [
        True
    ] * 4
    notices = (await daemon.get("/api/status"))["notices"]
    assert any(name in notice["text"] for notice in notices)
    model.rule("a", lambda _: say("fine"))
    await daemon.post(f"/api/schedules/{name}/resume")
    again = await settled(daemon, name, lambda s: s["last"]["result"] == "ok")
    assert again["failures"] == 0


async def test_the_guards_hold(start: Start, model: ScriptedModel) -> None:
    """A run counts as autonomous: past the bound of the hour it is a failed run, and says why."""
    limits = {"minScheduleSeconds": 0.1, "maxAutonomousTurnsPerHour": 2}
    daemon = await start("a", limits=limits)
    name = await create(daemon, every="0.1 seconds")
    shown = await settled(daemon, name, lambda s: s["failures"] > 0)
    assert "2 turns within an hour" in shown["last"]["error"]
    assert len(model.of("a")) == 2


async def test_a_withdrawn_run_is_settled(start: Start, model: ScriptedModel) -> None:
    """The operator takes back a run that waits: it is cancelled, and no failure."""
    gate = model.hold("a")
    daemon = await start("a", **OFTEN)
    await daemon.prompt("a", "work")
    await model.until(lambda: model.at_once["a"] == 1)
    name = await create(daemon, once="in 0.1 seconds")
    shown = await settled(daemon, name, lambda s: s["state"] == "running")
    await daemon.post("/api/sessions/a/cancel", turn=shown["open"]["turn"])
    done = await settled(daemon, name, lambda s: s["state"] == "done")
    assert (done["last"]["result"], done["failures"]) == ("cancelled", 0)
    gate.open()
    await daemon.idle()
    assert runs_of(daemon.home) == []


async def test_a_kill_within_a_run_goes_on_with_its_turn(
    start: Start, model: ScriptedModel
) -> None:
    """M35: ``kill -9`` while the model works: the same turn goes on; no second one begins."""
    gate = model.hold("a")
    daemon = await start("a", **OFTEN)
    name = await create(daemon, once="in 0.1 seconds")
    await model.until(lambda: model.at_once["a"] == 1)
    turn = (await one(daemon, name))["open"]["turn"]
    await daemon.kill()
    gate.open()
    await daemon.start()
    assert await daemon.ended(turn) == "ok"
    done = await settled(daemon, name, lambda s: s["state"] == "done")
    assert (done["last"]["turn"], done["last"]["result"], done["runs"]) == (turn, "ok", 1)
    assert len(runs_of(daemon.home)) == 1


async def test_a_kill_before_the_turn_was_stored_begins_it(start: Start) -> None:
    """M35: the record of the run is there, its turn is not: it is begun, once, with that id."""
    daemon = await start("a", **OFTEN)
    name = await create(daemon, once="in 0.1 seconds")
    turn = (await daemon.until(lambda e: e["event"] == "run_finished"))["run_id"]
    await settled(daemon, name, lambda s: s["state"] == "done")
    await daemon.kill()
    # As a kill leaves the files between the two writes.
    workspace = daemon.home / "workspaces" / "a"
    records = lines_of(workspace / "schedules.jsonl")
    kept = [json.dumps(r) for r in records if "last" not in r]
    (workspace / "schedules.jsonl").write_text("\n".join(kept) + "\n")
    history = lines_of(workspace / "history.jsonl")
    kept = [json.dumps(r) for r in history if turn not in json.dumps(r)]
    (workspace / "history.jsonl").write_text("\n".join(kept) + "\n")
    for _ in range(2):
        await daemon.start()
        await settled(daemon, name, lambda s: s["state"] == "done")
        await daemon.kill()
    assert len(runs_of(daemon.home)) == 1
    (ended,) = latest(workspace / "schedules.jsonl")
    assert (ended["last"]["turn"], ended["runs"]) == (turn, 1)


async def test_kills_at_any_moment_begin_nothing_twice(start: Start, model: ScriptedModel) -> None:
    """M35: killed again and again around due times: each time that was had was had once."""
    daemon = await start("a", **OFTEN)
    name = await create(daemon, every="0.3 seconds")
    dice = random.Random(35)
    for _ in range(4):
        await started(daemon, 2)
        await a_while(daemon, dice.random() * 0.4)
        await daemon.kill()
        await daemon.start()
    await settled(daemon, name, lambda s: s["last"] is not None and s["runs"] > 3)
    await daemon.post(f"/api/schedules/{name}/pause")
    shown = await settled(daemon, name, lambda s: "open" not in s or s["open"] is None)
    times = runs_of(daemon.home)
    assert max(Counter(times).values()) == 1
    assert len(times) == shown["runs"]
    assert sorted(times) == times


async def test_a_restart_keeps_everything(start: Start) -> None:
    """What was set, paused or changed is so afterwards; what was deleted is gone."""
    daemon = await start("a", "b", a={"schedules": [{"id": "tick", "every": "1 h", "text": "x"}]})
    kept = await create(daemon, cron="30 8 * * 1-5", zone="America/New_York", missed="skip")
    gone = await create(daemon, every="2 hours")
    await daemon.ask("PATCH", f"/api/schedules/{kept}", json={"text": "Good morning"})
    await daemon.ask("DELETE", f"/api/schedules/{gone}")
    await daemon.post("/api/schedules/tick/pause")
    before = (await daemon.get("/api/schedules"))["items"]
    await daemon.stop()
    await daemon.start()
    await daemon.idle()
    after = (await daemon.get("/api/schedules"))["items"]
    assert after == before
    assert [item["state"] for item in after] == ["paused", "active"]
    assert after[1]["describes"].endswith("At 08:30 on Monday through Friday")


async def test_a_paused_session_runs_it_afterwards(start: Start, model: ScriptedModel) -> None:
    """``clawd pause``: the run waits in the queue, and goes on with resume."""
    daemon = await start("a", **OFTEN)
    await daemon.post("/api/pause")
    name = await create(daemon, once="in 0.1 seconds")
    skipped = await create(daemon, once="in 0.1 seconds", missed="skip")
    await settled(daemon, name, lambda s: s["state"] == "running")
    await settled(daemon, skipped, lambda s: s["state"] == "done")
    assert model.of("a") == []
    await daemon.post("/api/resume")
    await settled(daemon, name, lambda s: s["state"] == "done")
    assert len(model.of("a")) == 1


async def test_a_heartbeat_is_mail(start: Start, model: ScriptedModel) -> None:
    """Its final text is in the operator's inbox; ``HEARTBEAT_OK`` is not."""
    model.script("a", [say("HEARTBEAT_OK"), say("The oven is hot")])
    model.rule("a", lambda _: say("HEARTBEAT_OK"))
    daemon = await start("a", **OFTEN)
    name = await create(daemon, every="0.2 seconds", heartbeat=True)
    event = await daemon.until(lambda e: e["event"] == "session_message")
    assert (event["message"]["from"], event["message"]["to"]) == ("a", "operator")
    assert event["message"]["content"] == "The oven is hot"
    quiet = await settled(daemon, name, lambda s: s.get("quiet", 0) >= 2)
    assert quiet["runs"] >= 3
    await daemon.post("/api/messages/read", session="operator", ids=[event["message"]["id"]])
    await settled(daemon, name, lambda s: not s.get("quiet"))
    mail = (await daemon.get("/api/messages", session="operator"))["items"]
    assert len(mail) == 1


async def test_run_now(start: Start, model: ScriptedModel) -> None:
    """At once, as the operator's own; a second one at the same time is refused."""
    daemon = await start("a", limits={"maxAutonomousTurnsPerHour": 0})
    name = await create(daemon, every="1 hour")
    gate = model.hold("a")
    run = await daemon.post(f"/api/schedules/{name}/run")
    await model.until(lambda: model.at_once["a"] == 1)
    with pytest.raises(ApiError) as refused:
        await daemon.post(f"/api/schedules/{name}/run")
    assert refused.value.code == "already_running"
    gate.open()
    assert await daemon.ended(run["turn"]) == "ok"


async def test_the_configuration_is_followed_live(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """A schedule that is written into ``config.json`` runs; the file itself is never written."""
    daemon = await start("a", "b", **OFTEN)
    entry = {"id": "tick", "every": "0.2 seconds", "text": "Say tick"}
    config = scripted(model.url, "a", "b", a={"schedules": [entry]}, **OFTEN)
    write_config(daemon.home, config)
    event = await started(daemon)
    assert event["source"] == "tick"
    content = (daemon.home / "config.json").read_bytes()
    with pytest.raises(ApiError) as refused:
        await daemon.ask("DELETE", "/api/schedules/tick")
    assert refused.value.code == "configured"
    write_config(daemon.home, scripted(model.url, "a", "b", **OFTEN))
    async with asyncio.timeout(10):
        while (await daemon.get("/api/schedules"))["items"]:
            await a_while(daemon, 0.02)
    assert b"tick" in content


async def test_what_the_edge_refuses(start: Start) -> None:
    """Each with its status and code, and nothing made."""
    daemon = await start("a", "b")
    for body, status, code in (
        ({"session": "nobody", "text": "x", "every": "1 hour"}, 404, "unknown_session"),
        ({"session": "a", "text": "x", "cron": "0 0 31 2 *"}, 400, "cron_never"),
        ({"session": "a", "text": "x"}, 400, "invalid_schedule"),
        ({"session": "a", "every": "1 hour"}, 400, "empty_text"),
        ({"session": "a", "text": "x", "every": "1 hour", "evry": 1}, 400, "invalid_body"),
    ):
        with pytest.raises(ApiError) as refused:
            await daemon.post("/api/schedules", **body)
        assert (refused.value.http, refused.value.code) == (status, code)
    with pytest.raises(ApiError) as refused:
        await one(daemon, "nothing")
    assert refused.value.code == "unknown_schedule"
    assert (await daemon.get("/api/schedules"))["items"] == []


async def test_one_id_in_two_sessions(start: Start) -> None:
    """Two entries of one name: the session has to be named as well."""
    entry = {"id": "tick", "every": "1 hour", "text": "x"}
    daemon = await start("a", "b", a={"schedules": [entry]}, b={"schedules": [entry]})
    with pytest.raises(ApiError) as refused:
        await one(daemon, "tick")
    assert refused.value.code == "ambiguous_id"
    shown = await daemon.get("/api/schedules/tick", session="b")
    assert shown["session"] == "b"


async def test_of_a_private_session_no_file_tells(model: ScriptedModel, tmp_path: Path) -> None:
    """``a2a.encrypt``: texts are sealed; without the key they stand still, with it they go on."""
    canary = "the-heron-lands-at-noon"
    key = tmp_path / "content.key"
    key.write_text(secret := secrets.token_urlsafe(32))
    key.chmod(0o600)
    config = scripted(model.url, "a", "b", a={"a2a": {"encrypt": True}}, **OFTEN)
    write_config(tmp_path, {**config, "encryption": {"key": "file:content.key"}})
    file = tmp_path / "workspaces" / "a" / "schedules.jsonl"
    async with RunningDaemon(tmp_path) as daemon:
        name = await create(daemon, text=canary, every="0.3 seconds")
        await settled(daemon, name, lambda s: s["runs"] > 0)
        await daemon.post("/api/messages/compact")
        assert canary not in file.read_text()
        assert (await one(daemon, name))["text"] == canary
    key.unlink()
    async with RunningDaemon(tmp_path) as daemon:
        with pytest.raises(ApiError) as refused:
            await daemon.get("/api/schedules", session="a")
        assert "key" in refused.value.message
        key.write_text(secret)
        key.chmod(0o600)
        await daemon.post("/api/sessions/a/restart")
        before = (await one(daemon, name))["runs"]
        await settled(daemon, name, lambda s: s["runs"] > before)
