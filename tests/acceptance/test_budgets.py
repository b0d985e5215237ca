"""Budgets on a running daemon: what is limited stops there, whoever is asked and whatever dies."""

from __future__ import annotations

from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.homes import lines_of, scripted, write_config
from clawd.testing.model import ScriptedModel, call, calls, fail, hang, say

JSON = dict[str, Any]
FEW = {"files": False, "web": False, "memory": False, "schedule": False}
"""Without the groups whose declarations would be most of a small budget."""
AXES = ("day", "session", "model", "trace")


def delegate(target: str, task: str) -> Any:
    """A step that gives a task to another session."""
    return call("delegate_task_async", target_session=target, task=task)


def priced(model: ScriptedModel, *sessions: str, **more: Any) -> JSON:
    """A configuration in which every model costs one dollar for a million tokens."""
    config = scripted(model.url, *sessions, **more)
    template = config["providerTemplates"]["scripted"]
    template["prices"] = {name: {"input": 1, "output": 1} for name in (*sessions, "spare")}
    template["availableModels"].append("bare")
    return config


async def begin(start: Start, config: JSON, home: Any) -> RunningDaemon:
    """A daemon on this configuration."""
    (home / "home").mkdir()
    write_config(home / "home", config)
    return await start()


async def test_a_spent_budget_stops_a_tree_in_the_middle(
    start: Start, model: ScriptedModel
) -> None:
    """F45: the running call ends, no other begins, the task fails with spent and limit."""
    limits = {"maxTokensPerTrace": 20_000, "maxModelCallsPerTurn": 500}
    daemon = await start("lead", "worker", limits=limits)
    big = {"prompt_tokens": 1900, "completion_tokens": 100}
    model.rule("worker", lambda b: _digging(b, big))
    model.script("lead", [delegate("worker", "dig"), say("w")])
    await daemon.say("lead", "go")
    failed = await daemon.until(
        lambda e: e["event"] == "task_updated" and e["task"]["status"] == "failed"
    )
    task = failed["task"]
    assert task["reason"] == "guard_tokens_per_trace"
    assert "of 20,000 tokens are spent" in task["error"]
    assert task["cost"]["inputTokens"] == 1900 * len(model.of("worker"))
    (notice,) = [n for n in daemon.named("notice", "worker") if n["code"] == task["reason"]]
    assert task["error"] == notice["text"]
    assert [n["code"] for n in daemon.named("notice") if n["code"].startswith("budget")] == [
        "budget_low"
    ]
    spent = sum(e["usage"]["inputTokens"] + e["usage"]["outputTokens"]
                for e in daemon.named("usage") if e["trace"] == failed["trace"])  # fmt: skip
    assert 0.8 * 20_000 <= spent <= 20_000
    caps = [request.body["max_tokens"] for request in model.of("worker")]
    assert caps[0] == 4096
    assert caps[-1] < 4096, "the last answers are cut to what remains"
    await daemon.idle()
    assert await daemon.say("lead", "the operator goes on") == "ok"


def _digging(body: JSON, usage: JSON) -> Any:
    """A worker that always looks for something else, at this price."""
    return calls(call("list_agents", query=str(len(body["messages"]))), usage=usage)


async def test_a_kill_in_the_middle_of_a_call_spends_it(start: Start, model: ScriptedModel) -> None:
    """A kill -9 before the settlement: counted in full, marked, refused with what remains."""
    daemon = await start("a", "b", b={"tools": FEW}, limits={"maxTokensPerDay": 7000})
    gate = model.hold("b")
    task = await daemon.post("/api/tasks", toSession="b", task="think")
    await gate.reached()
    await daemon.kill()
    (reserved,) = lines_of(daemon.home / "state/usage.jsonl")
    assert (reserved["state"], reserved["outputTokens"]) == ("reserved", 4096)
    held = reserved["inputTokens"] + 4096
    await daemon.start()
    gate.open()
    ended = await daemon.task(task["id"])
    assert ended["status"] == "failed"
    assert ended["reason"] == "guard_tokens_per_day"
    assert f"{7000 - held:,} tokens remain" in ended["error"]
    usage = await daemon.get("/api/usage")
    assert usage["total"]["estimatedTokens"] == held
    assert usage["limits"][0]["spent"] == held
    codes = [n["code"] for n in (await daemon.get("/api/status"))["notices"]]
    assert "budget_cut_off" in codes
    await daemon.kill()
    await daemon.start()
    assert (await daemon.get("/api/usage"))["total"]["estimatedTokens"] == held
    assert await daemon.say("b", "my own line") == "ok"


async def test_a_turn_that_goes_on_after_a_kill_counts_what_it_used_before(
    start: Start, model: ScriptedModel
) -> None:
    """The turn, its trace and `usage` agree about a turn in which the daemon died."""
    daemon = await start("a")
    model.script("a", [call("list_agents"), hang()])
    turn = await daemon.prompt("a", "go")
    await model.request(2)
    await daemon.kill()
    model.script("a", [say("done")])
    await daemon.start()
    assert await daemon.ended(turn) == "done"
    shown = await daemon.get(f"/api/traces/{turn}")
    total = (await daemon.get("/api/usage"))["total"]
    assert shown["usage"]["inputTokens"] == total["inputTokens"] == 200


async def test_a_purse_of_a_prompt_holds_for_all_it_leads_to(
    start: Start, model: ScriptedModel, tmp_path: Any
) -> None:
    """The purse follows the delegation, and stops the operator's own prompt too."""
    daemon = await begin(start, priced(model, "lead", "worker"), tmp_path)
    model.script("lead", [delegate("worker", "dig"), say("w")])
    model.rule("worker", lambda b: _digging(b, {"prompt_tokens": 2000, "completion_tokens": 0}))
    await daemon.say("lead", "go", budget={"maxCost": 0.01})
    failed = await daemon.until(
        lambda e: e["event"] == "task_updated" and e["task"]["status"] == "failed"
    )
    assert failed["task"]["reason"] == "guard_cost_per_trace"
    assert "of $0.0100 are spent" in failed["task"]["error"]
    with pytest.raises(ApiError) as refused:
        await daemon.say("lead", "go", budget={"maxTokens": 10})
    assert refused.value.code == "guard_tokens_per_trace"
    assert refused.value.body["retryable"] is False
    assert refused.value.body["limit"] == 10
    with pytest.raises(ApiError, match="steers"):
        await daemon.prompt("lead", "go", mode="steer", budget={"maxTokens": 10})
    for wrong in ({"maxCost": -1}, {"maxTokens": 0}, {"maxTime": 1}):
        with pytest.raises(ApiError) as invalid:
            await daemon.prompt("lead", "go", budget=wrong)
        assert invalid.value.code == "invalid_body"


async def test_a_limit_on_cost_needs_a_price_at_run_time_too(
    start: Start, model: ScriptedModel, tmp_path: Any
) -> None:
    """Neither another model nor a new session nor a purse may escape the count."""
    config = priced(model, "a", limits={"maxCostPerDay": 1})
    daemon = await begin(start, config, tmp_path)
    with pytest.raises(ApiError) as refused:
        await daemon.ask("PATCH", "/api/sessions/a", json={"model": "bare"})
    assert "price is not known" in refused.value.message
    assert "providerTemplates.scripted.prices" in refused.value.body["hint"]
    made = await daemon.tool(
        "a", "create_session", session_id="new", provider_template="scripted", name="New",
        model="bare",
    )  # fmt: skip
    assert "price is not known" in made["message"]
    assert await daemon.say("a", "still here") == "ok"


async def test_created_sessions_share_their_makers_day(
    start: Start, model: ScriptedModel, tmp_path: Any
) -> None:
    """A session cannot get more by making others."""
    config = priced(model, "a", "b", a={"limits": {"maxTokensPerDay": 5000}, "tools": FEW})
    daemon = await begin(start, config, tmp_path)
    await daemon.tool("a", "create_session", session_id="kid", provider_template="scripted",
                      name="Kid", model="spare")  # fmt: skip
    model.script("spare", [say("done", usage={"prompt_tokens": 4800, "completion_tokens": 0})])
    task = await daemon.post("/api/tasks", toSession="kid", task="dig")
    assert (await daemon.task(task["id"]))["status"] == "completed"
    second = await daemon.post("/api/tasks", toSession="a", task="dig")
    ended = await daemon.task(second["id"])
    assert ended["reason"] == "guard_tokens_per_day"
    assert "session a, today: 4,800 tokens of 5,000 tokens are spent" in ended["error"]
    third = await daemon.post("/api/tasks", toSession="b", task="dig")
    assert (await daemon.task(third["id"]))["status"] == "completed"


async def test_an_edit_of_a_budget_counts_at_once(
    start: Start, model: ScriptedModel, tmp_path: Any
) -> None:
    """Raise a spent limit in the file, and the next task is done."""
    daemon = await begin(start, priced(model, "a", limits={"maxTokensPerDay": 300}), tmp_path)
    first = await daemon.post("/api/tasks", toSession="a", task="dig")
    assert (await daemon.task(first["id"]))["reason"] == "guard_tokens_per_day"
    write_config(daemon.home, priced(model, "a", limits={"maxTokensPerDay": 300_000}))
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == "config_reloaded")
    second = await daemon.post("/api/tasks", toSession="a", task="dig")
    assert (await daemon.task(second["id"]))["status"] == "completed"


async def test_usage_is_the_same_along_every_axis(
    start: Start, model: ScriptedModel, tmp_path: Any
) -> None:
    """Day, session, model and trace sum to the same; estimates are marked; all tell one truth."""
    daemon = await begin(start, priced(model, "lead", "worker"), tmp_path)
    model.script("lead", [delegate("worker", "dig"), say("w"), say("guess", usage=None), say("x")])
    model.script("worker", [say("found")])
    await daemon.say("lead", "go")
    await daemon.until(lambda e: e["event"] == "run_finished" and e["final_message"] == "guess")
    model.script("worker", [fail(400)])
    with pytest.raises(ApiError):
        await daemon.say("worker", "fail")
    reports = [await daemon.get("/api/usage", by=by) for by in AXES]
    totals = [report["total"] for report in reports]
    assert all(total == totals[0] for total in totals)
    assert totals[0]["calls"] == 4, "a call that never began is none"
    assert 0 < totals[0]["estimatedTokens"] < totals[0]["inputTokens"]
    shown = {s["id"]: s["usage"] for s in (await daemon.get("/api/sessions"))["items"]}
    by_session = {item["session"]: item for item in reports[1]["items"]}
    for name, usage in shown.items():
        assert usage["inputTokens"] == by_session[name]["inputTokens"]
        assert usage["cost"] == pytest.approx(by_session[name]["cost"])
        assert usage["estimated"] == (by_session[name]["estimatedTokens"] > 0)
    (task,) = (await daemon.get("/api/tasks"))["items"]
    assert task["cost"]["inputTokens"] == 100
    assert task["cost"]["cost"] == pytest.approx(110 / 1e6)
    assert (await daemon.get("/api/status"))["usage"]["today"]["calls"] == 4
    assert (await daemon.get("/api/usage", since="2999-01-01"))["items"] == []


async def test_a_stopped_call_is_paid_as_estimated(start: Start, model: ScriptedModel) -> None:
    """What a provider may charge for a call that was stopped is counted, and marked as a guess."""
    daemon = await start("a")
    gate = model.hold("a")
    turn = await daemon.prompt("a", "long thoughts")
    await gate.reached()
    await daemon.post("/api/sessions/a/cancel")
    with pytest.raises(ApiError):
        await daemon.ended(turn)
    total = (await daemon.get("/api/usage"))["total"]
    assert total["inputTokens"] == total["estimatedTokens"] > 0
    gate.open()


async def test_task_cost_holds_what_its_children_used(start: Start, model: ScriptedModel) -> None:
    """A task costs what its own turns and the tasks that were made for it used."""
    model.script("lead", [delegate("worker", "dig"), say("I wait"), say("all found")])
    daemon = await start("lead", "worker")
    task = await daemon.post("/api/tasks", toSession="lead", task="find")
    ended = await daemon.task(task["id"])
    assert ended["result"] == "all found"
    assert ended["cost"]["inputTokens"] == 100 * 4
    stored = [t for t in lines_of(daemon.home / "state/tasks.jsonl") if t["id"] == task["id"]]
    assert stored[-1]["cost"]["inputTokens"] == 100 * 4
