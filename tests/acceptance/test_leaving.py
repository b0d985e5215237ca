"""Sessions that go: what their operator said to them is answered for, and nothing is left open."""

from __future__ import annotations

import pytest

from clawd.testing.daemon import JSON, ApiError, RunningDaemon, Start
from clawd.testing.homes import scripted
from clawd.testing.model import ScriptedModel, call, say
from clawd.testing.reload import read_config, reloaded

ASK = {"tools": {"approval": {"send_message_to_session": "ask"}}}


async def failure(daemon: RunningDaemon, turn: str) -> JSON:
    """Why a turn that cannot end well failed."""
    event = await daemon.until(lambda e: e["event"] == "run_failed" and e["run_id"] == turn)
    error: JSON = event["error"]
    return error


async def moved(daemon: RunningDaemon, session: str) -> None:
    """Give a session another workspace."""
    config = read_config(daemon)
    config["sessions"][session]["workspace"] = f"elsewhere/{session}"
    await reloaded(daemon, config)


async def test_a_session_that_goes_takes_no_more_lines(start: Start, model: ScriptedModel) -> None:
    """R03: its turn ends first; a line that would never run is refused, one that waits is told."""
    gate = model.hold("b")
    daemon = await start("a", "b")
    turn = await daemon.prompt("b", "take your time")
    await gate.reached()
    waiting = await daemon.prompt("b", "and then?")
    await reloaded(daemon, scripted(model.url, "a"))
    for mode in ("queue", "steer", "interrupt"):
        with pytest.raises(ApiError, match="there is no session 'b'") as refused:
            await daemon.prompt("b", "are you there?", mode=mode)
        assert refused.value.http == 404
    gate.open()
    assert await daemon.ended(turn) == "ok"
    assert (await failure(daemon, waiting))["error"] == "session_removed"
    await daemon.until(lambda e: e["event"] == "session_removed")
    assert len(model.of("b")) == 1
    await reloaded(daemon, scripted(model.url, "a", "b"))
    assert await daemon.say("b", "hello again") == "ok"
    assert len(model.of("b")) == 2


async def test_a_session_that_moves_takes_lines_once_it_has(
    start: Start, model: ScriptedModel
) -> None:
    """R03: what comes between its two folders is refused, with the word to say it again."""
    gate = model.hold("b")
    daemon = await start("a", "b")
    turn = await daemon.prompt("b", "take your time")
    await gate.reached()
    config = read_config(daemon)
    config["sessions"]["b"]["workspace"] = "elsewhere/b"
    await reloaded(daemon, config)
    with pytest.raises(ApiError, match="moves to another workspace") as refused:
        await daemon.prompt("b", "are you there?")
    assert refused.value.http == 409
    gate.open()
    assert await daemon.ended(turn) == "ok"
    await daemon.until(lambda e: e["event"] == "session_created" and e["session"] == "b")
    assert await daemon.say("b", "hello again") == "ok"


async def test_a_turn_that_waits_for_a_yes_fails_with_its_session(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: whoever looks at it is told; the session that comes back does not take it up."""
    model.script("b", [call("send_message_to_session", target_session="a", message="hello")])
    daemon = await start("a", "b", b=ASK)
    turn = await daemon.prompt("b", "tell a")
    await daemon.until(lambda e: e["event"] == "run_suspended" and e["run_id"] == turn)
    await reloaded(daemon, scripted(model.url, "a"))
    assert (await failure(daemon, turn))["error"] == "session_removed"
    await daemon.until(lambda e: e["event"] == "session_removed")
    assert not (await daemon.get("/api/approvals"))["items"]
    await reloaded(daemon, scripted(model.url, "a", "b", b=ASK))
    assert await daemon.say("b", "hello again") == "ok"
    assert len(model.of("b")) == 2


async def test_a_session_goes_with_tasks_that_depend_on_each_other(
    start: Start, model: ScriptedModel
) -> None:
    """R03: the end of one ends the next; the session goes all the same."""
    daemon = await start("a")
    await daemon.post("/api/sessions", session_id="w", provider_template="scripted")
    await daemon.post("/api/pause", session="w")
    first = await daemon.post("/api/tasks", toSession="w", fromSession="a", task="first")
    then = await daemon.post(
        "/api/tasks", toSession="w", fromSession="a", task="then", dependsOn=[first["id"]]
    )
    await daemon.ask("DELETE", "/api/sessions/w")
    await daemon.until(lambda e: e["event"] == "session_removed")
    assert (await daemon.task(first["id"]))["reason"] == "session_removed"
    assert (await daemon.task(then["id"]))["reason"] == "dependency"
    assert [s["id"] for s in (await daemon.get("/api/sessions"))["items"]] == ["a"]


@pytest.mark.parametrize("moved", [False, True])
async def test_a_restart_does_not_cut_off_the_turn_of_a_session_that_goes(
    start: Start, model: ScriptedModel, moved: bool
) -> None:
    """R03: refused, it leaves the turn the time that it was promised."""
    gate = model.hold("b")
    daemon = await start("a", "b")
    turn = await daemon.prompt("b", "take your time")
    await gate.reached()
    config = read_config(daemon)
    if moved:
        config["sessions"]["b"]["workspace"] = "elsewhere/b"
    else:
        del config["sessions"]["b"]
    await reloaded(daemon, config)
    with pytest.raises(ApiError) as refused:
        await daemon.post("/api/sessions/b/restart")
    assert refused.value.http == (409 if moved else 404)
    gate.open()
    assert await daemon.ended(turn) == "ok"
    assert len(model.of("b")) == 1


async def test_what_waits_for_a_session_that_moves_is_answered_for(
    start: Start, model: ScriptedModel
) -> None:
    """R03: a line that waits ends, whoever sent it mail is told, its task is done where it is."""
    gate = model.hold("b")
    daemon = await start("a", "b")
    turn = await daemon.prompt("b", "take your time")
    await gate.reached()
    waiting = await daemon.prompt("b", "and then?")
    task = await daemon.post("/api/tasks", toSession="b", fromSession="a", task="later")
    mail = await daemon.post("/api/messages", to="b", content="hello", **{"from": "a"})
    await moved(daemon, "b")
    gate.open()
    assert await daemon.ended(turn) == "ok"
    assert (await failure(daemon, waiting))["error"] == "session_moves"
    told = await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"].get("replyTo") == mail["id"]
    )
    assert (told["session"], told["message"]["type"]) == ("a", "notice")
    assert "is held: session b moved to another workspace" in told["message"]["content"]
    assert (await daemon.task(task["id"]))["status"] == "completed"


async def test_a_turn_that_waits_for_a_yes_fails_where_its_session_moves(
    start: Start, model: ScriptedModel
) -> None:
    """Guards: nobody is asked any more for what is not there; the task is begun again."""
    model.script("b", [call("send_message_to_session", target_session="a", message="hello")])
    daemon = await start("a", "b", b=ASK)
    task = await daemon.post("/api/tasks", toSession="b", fromSession="a", task="tell a")
    parked = await daemon.until(lambda e: e["event"] == "run_suspended" and e["session"] == "b")
    await moved(daemon, "b")
    assert (await failure(daemon, parked["run_id"]))["error"] == "session_moves"
    assert (await daemon.task(task["id"]))["status"] == "completed"
    assert not (await daemon.get("/api/approvals"))["items"]


async def test_a_result_that_waits_for_a_session_that_moves_continues_its_task(
    start: Start, model: ScriptedModel
) -> None:
    """R03: the task that the result is for goes on in the new workspace."""
    daemon = await start("a", "b", "c")
    part = model.hold("a")
    model.script("b", [call("delegate_task_async", target_session="a", task="part"), say("")])
    whole = await daemon.post("/api/tasks", toSession="b", fromSession="c", task="whole")
    await part.reached()
    await daemon.idle("b")
    gate = model.hold("b")
    turn = await daemon.prompt("b", "take your time")
    await gate.reached()
    part.open()
    await daemon.until(
        lambda e: e["event"] == "session_message" and e["message"]["type"] == "task_result"
    )
    await moved(daemon, "b")
    gate.open()
    assert await daemon.ended(turn) == "ok"
    assert (await daemon.task(whole["id"]))["status"] == "completed"


async def test_a_session_that_is_moved_with_its_files_goes_on(
    start: Start, model: ScriptedModel
) -> None:
    """R03: what waits in a folder that its operator moved is done in the new place."""
    daemon = await start("a", "b")
    await daemon.idle()
    await daemon.post("/api/pause", session="b")
    waiting = await daemon.prompt("b", "take your time")
    mail = await daemon.post("/api/messages", to="b", content="hello", **{"from": "a"})
    (daemon.home / "elsewhere").mkdir()
    (daemon.home / "workspaces/b").rename(daemon.home / "elsewhere/b")
    await moved(daemon, "b")
    await daemon.until(lambda e: e["event"] == "session_created" and e["session"] == "b")
    await daemon.post("/api/resume", session="b")
    assert await daemon.ended(waiting) == "ok"
    await daemon.until(
        lambda e: (
            e["event"] == "session_message"
            and (e["message"]["id"], e["message"]["read"]) == (mail["id"], True)
        )
    )
    assert not [e for e in daemon.named("run_failed", "b") if e["run_id"] == waiting]
