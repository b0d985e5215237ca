"""What commands change about sessions: it lasts, and an edit of that very key wins."""

from __future__ import annotations

from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import ScriptedModel

JSON = dict[str, Any]


async def change(daemon: RunningDaemon, session_id: str, **changes: Any) -> JSON:
    """Change a session as ``clawd sessions`` does."""
    return await daemon.ask("PATCH", f"/api/sessions/{session_id}", json=changes)


async def reloaded(daemon: RunningDaemon, config: JSON) -> None:
    """Save a configuration and wait until it is in force."""
    seen = len([e for e in daemon.named("notice") if e["code"] == "config_reloaded"])
    write_config(daemon.home, config)
    await daemon.until(
        lambda _: len([e for e in daemon.named("notice") if e["code"] == "config_reloaded"]) > seen
    )


async def test_a_change_outlives_a_restart(start: Start, model: ScriptedModel) -> None:
    """Hide and model of a configured and of a created session are there after a kill."""
    daemon = await start("a", "b")
    await daemon.post("/api/sessions", session_id="made", provider_template="scripted")
    for session_id in ("b", "made"):
        changed = await change(daemon, session_id, hiddenFromAgents=True, model="spare")
        assert (changed["hidden"], changed["model"]) == (True, "spare")
    assert (await daemon.tool("a", "list_agents"))["agents"] == []
    config = (daemon.home / "config.json").read_bytes()
    await daemon.kill()
    await daemon.start()
    assert (await daemon.tool("a", "list_agents"))["agents"] == []
    assert await daemon.say("b", "hi") == "ok"
    assert model.requests[-1].model == "spare"
    for session_id in ("b", "made"):
        await change(daemon, session_id, hiddenFromAgents=False)
    agents = (await daemon.tool("a", "list_agents"))["agents"]
    assert [a["id"] for a in agents] == ["b", "made"]
    assert (daemon.home / "config.json").read_bytes() == config


async def test_an_edit_of_the_same_key_wins_for_good(start: Start, model: ScriptedModel) -> None:
    """An edit of another key leaves the change; one of that key ends it, edited back or not."""
    daemon = await start("a", "b")
    await change(daemon, "b", hiddenFromAgents=True, model="spare")

    async def state() -> tuple[bool, str, str]:
        shown = await daemon.get("/api/sessions/b")
        return shown["hidden"], shown["model"], shown["description"]

    def config(**settings: Any) -> JSON:
        return scripted(model.url, "a", "b", b=settings)

    await reloaded(daemon, config(description="new"))
    assert await state() == (True, "spare", "new")
    other = {"template": "scripted", "model": "a"}
    await reloaded(daemon, config(provider=other))
    assert await state() == (True, "a", "The b")
    await reloaded(daemon, config(description="back"))
    assert await state() == (True, "b", "back")
    await daemon.stop()
    write_config(daemon.home, config(a2a={"hiddenFromAgents": True}, description="stopped"))
    await daemon.start()
    assert await state() == (True, "b", "stopped")
    await change(daemon, "b", hiddenFromAgents=False)
    assert await state() == (False, "b", "stopped")


async def test_a_change_that_cannot_be(start: Start, model: ScriptedModel) -> None:
    """An unknown key, a wrong type, a model that is not offered: one error, nothing changed."""
    daemon = await start("a")
    for changes in ({"hidden": True}, {"hiddenFromAgents": "yes"}, {"model": "gpt-nope"}):
        with pytest.raises(ApiError) as error:
            await change(daemon, "a", **changes)
        assert error.value.http == 400
    with pytest.raises(ApiError) as error:
        await change(daemon, "nobody", model="spare")
    assert error.value.http == 404
    assert not (daemon.home / "state/sessions.jsonl").exists()


async def test_a_removed_session(start: Start, model: ScriptedModel) -> None:
    """Its tasks fail as session_removed, its own go on, the workspace stays, also over a kill."""
    gate = model.hold("worker")
    daemon = await start("boss", "worker")
    await daemon.post("/api/sessions", session_id="temp", provider_template="scripted")
    own = await daemon.tool("temp", "delegate_task_async", target_session="worker", task="own")
    await gate.reached()
    held = model.hold("spare")
    turn = await daemon.prompt("temp", "think")
    await held.reached()
    given = await daemon.tool("boss", "delegate_task_async", target_session="temp", task="given")
    await daemon.post("/api/sessions/temp/cancel", turn=turn)
    blocked = model.hold("spare")
    held.open()
    await blocked.reached()
    assert (await daemon.get(f"/api/tasks/{given['taskId']}"))["status"] == "processing"
    blocked.open()
    await daemon.idle("temp")
    waiting = await daemon.post("/api/tasks", toSession="temp", task="more")
    await daemon.task(waiting["id"])
    with pytest.raises(ApiError, match=r"config\.json"):
        await daemon.ask("DELETE", "/api/sessions/boss")
    await daemon.ask("DELETE", "/api/sessions/temp")
    assert (daemon.home / "workspaces/temp/SOUL.md").exists()
    refused = await daemon.tool(
        "boss", "send_message_to_session", target_session="temp", message="?"
    )
    assert refused["error"] == "unknown_session"
    gate.open()
    assert (await daemon.task(own["taskId"]))["status"] == "completed"
    await daemon.kill()
    await daemon.start()
    assert [s["id"] for s in (await daemon.get("/api/sessions"))["items"]] == ["boss", "worker"]
    records = latest(daemon.home / "state/sessions.jsonl")
    assert [(r["id"], r["removed"]) for r in records] == [("temp", True)]


async def test_the_tasks_of_a_removed_session_fail(start: Start, model: ScriptedModel) -> None:
    """What was assigned to it and cannot begin any more fails with session_removed; all told."""
    daemon = await start("boss", "worker")
    await daemon.post("/api/sessions", session_id="temp", provider_template="scripted")
    first = await daemon.tool("boss", "delegate_task_async", target_session="operator", task="1")
    second = await daemon.post(
        "/api/tasks", toSession="temp", task="2", dependsOn=[first["taskId"]]
    )
    await daemon.ask("DELETE", "/api/sessions/temp")
    ended = await daemon.task(second["id"])
    assert (ended["status"], ended["reason"]) == ("failed", "session_removed")
    assert len(await daemon.verdicts(second["id"])) == 1


async def test_a_template_that_is_gone_holds_its_session(
    start: Start, model: ScriptedModel
) -> None:
    """A created session whose template was taken out stays listed; its turns say what is wrong."""
    config = scripted(model.url, "a")
    extra = config["providerTemplates"]["scripted"]
    both = {"scripted": extra, "extra": extra}
    daemon = await start("a", providerTemplates=both)
    await daemon.post("/api/sessions", session_id="made", provider_template="extra")
    assert await daemon.say("made", "hi") == "ok"
    await reloaded(daemon, config)
    for _ in range(2):
        listed = (await daemon.get("/api/sessions"))["items"]
        assert [s["template"] for s in listed] == ["scripted", "extra"]
        with pytest.raises(ApiError, match=r"template 'extra', which config\.json has not"):
            await daemon.say("made", "hi")
        assert await daemon.say("a", "hi") == "ok"
        await daemon.get("/api/status")
        await daemon.kill()
        await daemon.start()
    await reloaded(daemon, scripted(model.url, "a", providerTemplates=both))
    assert await daemon.say("made", "hi") == "ok"
