"""Every route of the local API answers as its page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import JSON, ApiError, RunningDaemon, Start
from clawd.testing.model import ScriptedModel, call, say

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
SESSION_FIELDS = {
    "id", "name", "description", "role", "capabilities", "status", "template", "model", "unread",
    "openTasks", "queue", "tokens", "usage", "lastActivity", "hidden", "a2a", "organization",
    "workspace", "createdBy", "turn",
}  # fmt: skip


async def refused(
    daemon: RunningDaemon, status: int, method: str, path: str, **options: Any
) -> str:
    """A request that must be refused with this status; the error's code."""
    with pytest.raises(ApiError) as caught:
        await daemon.ask(method, path, **options)
    assert caught.value.http == status, (method, path, caught.value.body)
    assert {"code", "message", "hint"} <= set(caught.value.body)
    return caught.value.code


def is_list(answer: JSON, schema: str) -> list[JSON]:
    """The items of a list in its envelope."""
    assert answer["schema"] == f"clawd.{schema}/1"
    assert answer["next"] is None
    items: list[JSON] = answer["items"]
    return items


async def test_sessions(start: Start, model: ScriptedModel) -> None:
    """Listed, shown, created, changed, adopted, removed; refusals change nothing."""
    daemon = await start("a", "b")
    items = is_list(await daemon.get("/api/sessions"), "sessions")
    assert [s["id"] for s in items] == ["a", "b"]
    assert set(items[0]) >= SESSION_FIELDS
    one = await daemon.get("/api/sessions/a")
    assert one["schema"] == "clawd.session/1"
    assert {"identity", "limits", "tools"} | SESSION_FIELDS <= set(one)
    assert [f["file"] for f in one["identity"]] == [
        "IDENTITY.md",
        "SOUL.md",
        "USER.md",
        "MEMORY.md",
    ]
    assert one["limits"]["maxHops"] == 24
    assert "list_agents" in one["tools"]

    made = {"session_id": "made", "provider_template": "scripted", "soul_content": "Be kind."}
    response = await daemon.ask("POST", "/api/sessions", json=made)
    assert (response["id"], response["createdBy"]) == ("made", "operator")
    assert await refused(daemon, 400, "POST", "/api/sessions", json=made) == "name_not_available"
    bad = made | {"session_id": "x", "provider_template": "nope"}
    assert await refused(daemon, 400, "POST", "/api/sessions", json=bad) == "unknown_template"
    bad = made | {"session_id": "../x"}
    assert await refused(daemon, 400, "POST", "/api/sessions", json=bad) == "invalid_session_id"

    changed = await daemon.ask(
        "PATCH", "/api/sessions/made", json={"hiddenFromAgents": True, "model": "spare"}
    )
    assert (changed["hidden"], changed["model"]) == (True, "spare")
    for wrong in ({"model": "nope"}, {"hiddenFromAgents": "yes"}, {"color": "red"}, {"model": 1}):
        await refused(daemon, 400, "PATCH", "/api/sessions/made", json=wrong)
    assert (await daemon.get("/api/sessions/made"))["model"] == "spare"
    entry = (await daemon.get("/api/sessions/made/config"))["entry"]
    assert entry["provider"]["template"] == "scripted"
    assert entry["a2a"]["hiddenFromAgents"] is True

    removed = await daemon.ask("DELETE", "/api/sessions/made")
    assert removed == {"schema": "clawd.session/1", "id": "made", "removed": True}
    assert (daemon.home / "workspaces/made/SOUL.md").exists()
    assert await refused(daemon, 404, "GET", "/api/sessions/made") == "unknown_session"
    assert await refused(daemon, 409, "DELETE", "/api/sessions/a") == "configured"


async def test_turns(start: Start, model: ScriptedModel) -> None:
    """Prompted, queued, cancelled, withdrawn; transcript, context, compaction, reset."""
    daemon = await start("a")
    gate = model.hold("a")
    first = await daemon.post("/api/sessions/a/prompt", text="one")
    assert (first["schema"], first["state"], first["ahead"]) == ("clawd.turn/1", "started", 0)
    await gate.reached()
    busy = await daemon.get("/api/sessions/a")
    assert busy["status"] == "busy"
    assert busy["turn"]["id"] == first["turn"]
    assert {"id", "trigger", "since"} <= set(busy["turn"])
    second = await daemon.post("/api/sessions/a/prompt", text="two", mode="queue")
    assert (second["state"], second["ahead"]) == ("queued", 1)
    assert await refused(daemon, 409, "POST", "/api/sessions/a/reset", json={}) == "busy"
    assert await refused(daemon, 409, "POST", "/api/sessions/a/compact", json={}) == "busy"
    taken = await daemon.post("/api/sessions/a/cancel", turn=second["turn"])
    assert (taken["cancelled"], taken["turn"], taken["text"]) == (True, second["turn"], "two")
    stopped = await daemon.post("/api/sessions/a/cancel")
    assert (stopped["cancelled"], stopped["turn"]) == (True, first["turn"])
    with pytest.raises(ApiError, match="cancelled"):
        await daemon.ended(first["turn"])
    await daemon.idle()
    assert (await daemon.post("/api/sessions/a/cancel"))["cancelled"] is False
    code = await refused(daemon, 404, "POST", "/api/sessions/a/cancel", json={"turn": "turn-x"})
    assert code == "unknown_turn"

    assert await daemon.say("a", "three") == "ok"
    lines = is_list(await daemon.get("/api/sessions/a/transcript"), "transcript")
    assert [line["message"]["role"] for line in lines] == ["user", "user", "assistant"]
    assert {"id", "turn", "conversation", "time", "trigger", "message"} <= set(lines[0])
    (last,) = is_list(await daemon.get("/api/sessions/a/transcript", last=1), "transcript")
    assert last["message"]["content"] == "ok"
    assert is_list(await daemon.get("/api/sessions/a/transcript", last=0), "transcript") == []
    context = await daemon.get("/api/sessions/a/context")
    assert context["schema"] == "clawd.context/1"
    parts = {part["name"]: part["tokens"] for part in context["parts"]}
    assert {"situation", "tools", "history"} <= set(parts)
    assert context["used"] == sum(parts.values())
    assert context["free"] == context["window"] - context["used"]
    compacted = await daemon.post("/api/sessions/a/compact")
    assert {"before", "after"} <= set(compacted)
    before = lines[0]["conversation"]
    assert (await daemon.post("/api/sessions/a/reset"))["conversation"] != before
    assert is_list(await daemon.get("/api/sessions/a/transcript"), "transcript") == []
    for wrong in ({}, {"text": ""}, {"text": 5}, {"text": "x", "mode": "shout"}):
        await refused(daemon, 400, "POST", "/api/sessions/a/prompt", json=wrong)


async def test_messages(start: Start, model: ScriptedModel) -> None:
    """Sent, awaited, listed by every filter, shown, read, pruned, compacted."""
    model.script("b", [say("fine, thanks")])
    daemon = await start("a", "b", b={"a2a": {"wakeOnMessage": True}})
    asked = await daemon.post("/api/messages", to="b", content="How are you?", waitSeconds=20)
    assert asked["schema"] == "clawd.message/1"
    assert asked["answer"]["content"] == "fine, thanks"
    sent = await daemon.ask(
        "POST",
        "/api/messages",
        json={"to": "b", "from": "a", "content": "Hi", "threadId": "t", "priority": 9},
    )
    assert (sent["from"], sent["to"], sent["threadId"], sent["priority"]) == ("a", "b", "t", 9)
    await daemon.idle()
    assert (await daemon.get(f"/api/messages/{sent['id']}"))["state"] == "read"
    everything = is_list(await daemon.get("/api/messages", session="*"), "messages")
    assert [m["id"] for m in everything] == sorted(m["id"] for m in everything)
    filters: list[tuple[JSON, int]] = [
        ({"session": "b"}, 2),
        ({"session": "b", "thread": "t"}, 1),
        ({"session": "b", "from": "a"}, 1),
        ({"session": "b", "query": "HI"}, 1),
        ({"session": "b", "unread": 1}, 0),
        ({"session": "b", "state": "read"}, 1),
        ({"session": "b", "limit": 1}, 1),
        ({"session": "b", "limit": 0}, 0),
        ({"session": "b", "before": sent["id"]}, 1),
        ({"session": "a"}, 0),
    ]
    for query, count in filters:
        assert len((await daemon.get("/api/messages", **query))["items"]) == count, query
    assert "read" in await daemon.post("/api/messages/read", session="b")
    assert "read" in await daemon.post("/api/messages/read", ids=[sent["id"]])
    code = await refused(daemon, 409, "POST", "/api/messages/requeue", json={"id": sent["id"]})
    assert code == "not_dead"
    dry = await daemon.post("/api/messages/prune", session="b", thread="t", dryRun=True)
    assert dry["removed"] == 1
    assert (await daemon.post("/api/messages/prune", session="b", thread="t"))["removed"] == 1
    assert await refused(daemon, 404, "GET", f"/api/messages/{sent['id']}") == "unknown_message"
    assert {"before", "after"} <= set(await daemon.post("/api/messages/compact", session="b"))
    for wrong in (
        {"to": "b"},
        {"to": "b", "content": " "},
        {"to": "b", "content": "x", "priority": 11},
        {"to": "b", "content": "x", "ttlSeconds": -1},
        {"to": "b", "content": "x", "waitSeconds": -1},
        {"to": "b", "content": "x", "waitSeconds": 1e9},
        {"to": "b", "content": "x", "threadId": ""},
    ):
        await refused(daemon, 400, "POST", "/api/messages", json=wrong)
    for wrong in ({"to": "z", "content": "x"}, {"to": "b", "from": "z", "content": "x"}):
        assert await refused(daemon, 404, "POST", "/api/messages", json=wrong) == "unknown_session"


async def test_tasks(start: Start, model: ScriptedModel) -> None:
    """Given, awaited, listed, cancelled, retried, completed in the worker's stead."""
    model.script("b", [say("done")])
    daemon = await start("a", "b")
    given = await daemon.ask(
        "POST", "/api/tasks", json={"toSession": "b", "task": "work", "context": {"n": [1]}}
    )
    assert (given["schema"], given["fromSession"]) == ("clawd.task/1", "operator")
    done = await daemon.get(f"/api/tasks/{given['id']}", wait=20)
    assert (done["status"], done["result"], done["context"]) == ("completed", "done", {"n": [1]})
    gate = model.hold("b")
    other = await daemon.post("/api/tasks", toSession="b", fromSession="a", task="more", priority=1)
    await gate.reached()
    waited = await daemon.get(f"/api/tasks/{other['id']}", wait=0.01)
    assert waited["status"] == "processing"
    assert [t["id"] for t in is_list(await daemon.get("/api/tasks"), "tasks")] == [
        given["id"],
        other["id"],
    ]
    filters: list[tuple[JSON, int]] = [
        ({"session": "a"}, 1),
        ({"session": "a", "created": 0}, 0),
        ({"session": "b", "assigned": 1}, 2),
        ({"session": "b", "assigned": 0}, 0),
        ({"status": "completed"}, 1),
        ({"status": "pending"}, 0),
        ({"limit": 1}, 1),
        ({"limit": 0}, 0),
    ]
    for query, count in filters:
        assert len((await daemon.get("/api/tasks", **query))["items"]) == count, query
    cancelled = await daemon.post(f"/api/tasks/{other['id']}/cancel", reason="enough")
    assert cancelled["status"] == "cancelled"
    again = await daemon.ask("POST", f"/api/tasks/{other['id']}/retry", json={})
    assert again["retryOf"] == other["id"]
    assert (await daemon.get(f"/api/tasks/{again['id']}", wait=20))["status"] == "completed"
    assert await refused(daemon, 409, "POST", f"/api/tasks/{again['id']}/retry", json={})
    gate = model.hold("b")
    third = await daemon.post("/api/tasks", toSession="b", task="third")
    await gate.reached()
    ended = await daemon.post(f"/api/tasks/{third['id']}/complete", result="by hand")
    assert (ended["status"], ended["result"]) == ("completed", "by hand")
    await refused(daemon, 409, "POST", f"/api/tasks/{third['id']}/complete", json={"error": "no"})
    for wrong in (
        {"toSession": "b"},
        {"toSession": "b", "task": ""},
        {"toSession": "b", "task": "x", "context": [1]},
        {"toSession": "b", "task": "x", "priority": -1},
        {"toSession": "b", "task": "x", "deadlineSeconds": -1},
    ):
        await refused(daemon, 400, "POST", "/api/tasks", json=wrong)
    await refused(daemon, 404, "POST", "/api/tasks", json={"toSession": "z", "task": "x"})


async def test_the_daemon_itself(start: Start, model: ScriptedModel) -> None:
    """Status, configuration without keys, providers, a real call, tools, and the end."""
    daemon = await start("a", "b")
    status = await daemon.get("/api/status")
    assert status["schema"] == "clawd.status/1"
    assert {
        "version", "pid", "home", "socket", "startedAt", "uptimeSeconds", "sessions", "unread",
        "openTasks", "config", "providers", "offline", "notices", "seq",
    } <= set(status)  # fmt: skip
    assert (status["pid"], status["home"]) == (daemon.pid, str(daemon.home))
    assert status["sessions"] == {"total": 2, "busy": 0, "failed": 0}
    assert {p["id"]: p["ok"] for p in status["providers"]} == {"scripted": True, "offline": True}
    assert status["offline"] is False
    shown = await daemon.get("/api/config")
    assert shown["config"]["providerTemplates"]["scripted"]["apiKey"] == "***"
    assert "canary" not in str(shown)
    providers = is_list(await daemon.get("/api/providers"), "providers")
    assert {p["id"]: p["key"] for p in providers} == {"scripted": "ok", "offline": "none"}
    assert {"name", "description", "endpoint", "defaultModel", "models", "contextWindow"} <= set(
        providers[0]
    )
    tested = await daemon.ask("POST", "/api/providers/scripted/test", json={})
    assert (tested["ok"], tested["model"]) == (True, "spare")
    assert tested["milliseconds"] >= 0
    await refused(daemon, 404, "POST", "/api/providers/nope/test", json={})
    tools = is_list(await daemon.get("/api/tools", session="a"), "tools")
    assert {"name", "description", "parameters"} <= set(tools[0])
    called = await daemon.post("/api/tools/list_agents", session="a")
    assert (called["ok"], [x["id"] for x in called["result"]["agents"]]) == (True, ["b"])
    wrong = await daemon.post("/api/tools/list_agents", session="a", arguments={"nope": 1})
    assert (wrong["ok"], wrong["result"]["error"]) == (False, "invalid_arguments")
    assert await refused(daemon, 404, "POST", "/api/tools/nope", json={"session": "a"})
    assert await refused(daemon, 404, "POST", "/api/tools/list_agents", json={"session": "z"})
    for seconds in (-1, 1e9):
        await refused(daemon, 400, "POST", "/api/stop", json={"drainSeconds": seconds})
    assert (await daemon.post("/api/stop"))["schema"] == "clawd.stopping/1"
    assert await daemon.gone() == 0


async def test_every_route_of_the_page_is_there(start: Start) -> None:
    """What the page names is served: an unknown id is 404 for its noun, never for its route."""
    daemon = await start("a")
    routes = re.findall(r"`(GET|POST|PATCH|DELETE) (/api/[^?`]*)", PAGE.read_text("utf-8"))
    assert len(routes) > 30
    for method, path in routes:
        if path in ("/api/stop", "/api/events"):
            continue
        filled = path.replace("{id}", "nothing").replace("{name}", "nothing")
        response = await daemon.raw(method, filled, **({} if method == "GET" else {"json": {}}))
        code = response.json().get("error", {}).get("code")
        assert code not in ("unknown_route", "http_error"), (method, path)
        assert response.status_code < 500, (method, path)
        if "{" in path and path != "/api/tools/{name}":
            assert response.status_code == 404, (method, path, response.text)
    assert await refused(daemon, 404, "GET", "/api/nothing") == "unknown_route"
    assert await refused(daemon, 405, "PUT", "/api/sessions", json={})


async def test_a_tool_that_the_human_calls_may_wait(start: Start, model: ScriptedModel) -> None:
    """On the operator's word a session sends and waits, outside of any turn."""
    model.script("b", [call("list_agents"), say("here I am")])
    daemon = await start("a", "b")
    answer = await daemon.tool(
        "a", "send_message_to_session", target_session="b", message="?", wait_seconds=20
    )
    assert "here I am" in str(answer)
