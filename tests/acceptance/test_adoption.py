"""Sessions that were made at run time and then taken over by the file, or taken out of it."""

from __future__ import annotations

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel


async def test_an_adopted_session_is_the_files_and_can_still_be_changed(
    start: Start, model: ScriptedModel
) -> None:
    """The file wins for an id in both; hiding it and editing the file go on working."""
    daemon = await start("a", "b")
    await daemon.post("/api/sessions", session_id="c", provider_template="scripted")
    entry = (await daemon.get("/api/sessions/c/config"))["entry"]
    config = scripted(model.url, "a", "b")
    config["sessions"]["c"] = entry
    write_config(daemon.home, config)
    await daemon.until(lambda e: e.get("code") == "config_reloaded")
    await daemon.ask("PATCH", "/api/sessions/c", json={"hiddenFromAgents": True})
    with pytest.raises(ApiError) as refused:
        await daemon.ask("DELETE", "/api/sessions/c")
    assert refused.value.code == "configured"

    seen = len(daemon.events)
    config["sessions"]["b"]["description"] = "Another one"
    write_config(daemon.home, config)
    await daemon.until(lambda e: e.get("code") == "config_reloaded" and e in daemon.events[seen:])
    agents = (await daemon.tool("a", "list_agents"))["agents"]
    assert [(x["id"], x["description"]) for x in agents] == [("b", "Another one")]


async def test_work_of_a_session_taken_away_while_the_daemon_was_down_ends(
    start: Start, model: ScriptedModel
) -> None:
    """Its task fails and its mail is held; who asked is told of both, once."""
    gate = model.hold("b")
    daemon = await start("a", "b")
    task = await daemon.tool("a", "delegate_task_async", target_session="b", task="work")
    await gate.reached()
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message="hello")
    await daemon.kill()
    write_config(daemon.home, scripted(model.url, "a"))
    for _ in range(2):
        await daemon.start()
        await daemon.idle("a")
        ended = await daemon.get(f"/api/tasks/{task['taskId']}")
        assert (ended["status"], ended["reason"]) == ("failed", "session_removed")
        mail = (await daemon.get("/api/messages", session="a"))["items"]
        verdicts = [m for m in mail if m["threadId"] == task["taskId"]]
        notices = [m for m in mail if m.get("replyTo") == sent["id"]]
        assert (len(verdicts), len(notices)) == (1, 1)
        assert "held" in notices[0]["content"]
        await daemon.stop()


async def test_draining_suspends_what_is_late_and_takes_its_time_once(
    start: Start, model: ScriptedModel
) -> None:
    """A stop that waits for turns waits for all at once; what is late goes on after a start."""
    gates = {name: model.hold(name) for name in ("b", "c")}
    daemon = await start("a", "b", "c")
    tasks = [
        (await daemon.tool("a", "delegate_task_async", target_session=name, task="work"))["taskId"]
        for name in gates
    ]
    for gate in gates.values():
        await gate.reached()
    await daemon.post("/api/stop", drainSeconds=0.5)
    await daemon.gone()
    for gate in gates.values():
        gate.open()
    await daemon.start()
    for task in tasks:
        assert (await daemon.get(f"/api/tasks/{task}", wait=20))["status"] == "completed"
