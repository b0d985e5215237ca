"""Who sees whom: listings, hidden sessions, organizations, provider templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import latest, lines_of, write_config
from clawd.testing.model import ScriptedModel, call, say

HOUSE: dict[str, Any] = {
    "b": {"name": "Bea", "description": "Reads papers", "capabilities": ["nlp_sum", "search"]},
    "hidden": {"a2a": {"hiddenFromAgents": True}},
    "apart": {"a2a": {"enabled": False}},
    "off": {"enabled": False},
    "foreign": {"a2a": {"organization": "other"}},
}


async def house(start: Start) -> RunningDaemon:
    """A session ``a``, one that it sees, and four that it does not."""
    return await start("a", *HOUSE, **HOUSE)


async def test_only_what_may_be_seen_is_listed(start: Start) -> None:
    """M02: b with name, id, capabilities and status; not the caller, nor any of the others."""
    daemon = await house(start)
    (agent,) = (await daemon.tool("a", "list_agents"))["agents"]
    assert agent == {
        "id": "b",
        "name": "Bea",
        "description": "Reads papers",
        "role": "hybrid",
        "capabilities": ["nlp_sum", "search"],
        "status": "idle",
        "queue": 0,
    }
    assert (await daemon.tool("foreign", "list_agents"))["agents"] == []


async def test_searches_follow_the_same_rule(start: Start) -> None:
    """M03: by capability, by prefix and by query; what matches nothing is an empty list."""
    daemon = await house(start)

    async def found(**filters: str) -> list[str]:
        return [
            agent["id"] for agent in (await daemon.tool("a", "list_agents", **filters))["agents"]
        ]

    assert await found(capability="search") == ["b"]
    assert await found(capability="nlp_*") == ["b"]
    assert await found(query="papers READS") == ["b"]
    assert await found(capability="nlp") == []
    assert await found(query="hidden") == []
    assert await found(query="The") == []


async def test_status_tells_a_busy_session(start: Start, model: ScriptedModel) -> None:
    """M02: a session in a turn is busy, and what waits for it is counted."""
    daemon = await house(start)
    gate = model.hold("b")
    await daemon.prompt("b", "think")
    await gate.reached()
    await daemon.tool("a", "send_message_to_session", target_session="b", message="later")
    (agent,) = (await daemon.tool("a", "list_agents"))["agents"]
    assert (agent["status"], agent["queue"]) == ("busy", 1)
    gate.open()
    await daemon.idle()


async def test_templates_show_everything_but_the_key(start: Start, model: ScriptedModel) -> None:
    """M04: id, name, endpoint, models and window; the key is in no answer, log or transcript."""
    model.script("a", [call("list_provider_templates"), say("done")])
    daemon = await start("a", "b")
    assert await daemon.say("a", "which templates are there?") == "done"
    answer = next(m for m in model.of("a")[1].messages if m["role"] == "tool")["content"]
    (template,) = [
        t for t in json.loads(answer[answer.index("{") :])["templates"] if t["id"] == "scripted"
    ]
    assert template["name"] == "Scripted"
    assert template["endpoint"] == model.url
    assert template["defaultModel"] == "spare"
    assert template["models"] == ["a", "b", "spare"]
    assert template["contextWindow"] == 128_000
    for path in ("/api/providers", "/api/config", "/api/status"):
        assert "sk-canary" not in json.dumps(await daemon.get(path))
    await daemon.stop()
    for file in daemon.home.rglob("*"):
        if file.is_file() and file.name not in ("config.json", "config.last-good.json"):
            assert b"sk-canary" not in file.read_bytes(), file


async def test_a_hidden_session_is_reached_by_its_id(start: Start) -> None:
    """M18: in no list, search, broadcast or error text; messages and tasks by id succeed."""
    daemon = await house(start)
    assert "hidden" not in json.dumps(await daemon.tool("a", "list_agents"))
    unknown = await daemon.tool("a", "send_message_to_session", target_session="hiden", message="x")
    assert "hidden" not in json.dumps(unknown)
    told = await daemon.tool("a", "broadcast_message", message="to all")
    assert [m["to"] for m in told["messages"]] == ["b"]
    outputs = await daemon.tool("a", "get_session_outputs", session_id="hidden")
    assert outputs["error"] == "unknown_session"

    sent = await daemon.tool("a", "send_message_to_session", target_session="hidden", message="hi")
    assert sent["state"] == "stored"
    task = await daemon.tool("a", "delegate_task_async", target_session="hidden", task="work")
    assert task["status"] == "pending"
    await daemon.idle()


@pytest.mark.parametrize(
    ("tool", "field"),
    [
        ("send_message_to_session", "message"),
        ("delegate_task_async", "task"),
    ],
)
async def test_another_organization_does_not_exist(start: Start, tool: str, field: str) -> None:
    """Comms, visibility: one of another organization gets the very answer of an unknown id."""
    daemon = await house(start)
    foreign = await daemon.tool("a", tool, target_session="foreign", **{field: "x"})
    unknown = await daemon.tool("a", tool, target_session="fareign", **{field: "x"})
    assert json.dumps(foreign).replace("foreign", "fareign") == json.dumps(unknown)
    assert foreign["error"] == "unknown_session"
    outputs = await daemon.tool("a", "get_session_outputs", session_id="foreign")
    assert outputs["error"] == "unknown_session"


async def test_a_session_without_a2a_has_none_of_the_tools(
    start: Start, model: ScriptedModel
) -> None:
    """Comms, visibility: A2A off means no tools of this kind; the human still reaches it."""
    daemon = await house(start)
    assert await daemon.say("apart", "hello") == "ok"
    offered = {tool["function"]["name"] for tool in model.of("apart")[0].body.get("tools", [])}
    assert not offered & {"list_agents", "send_message_to_session", "delegate_task_async"}
    assert "Sessions that you can see" not in model.of("apart")[0].messages[0]["content"]
    await daemon.post("/api/messages", to="apart", content="from your human")
    await daemon.until(
        lambda e: e["event"] == "run_finished" and e["session"] == "apart" and e["run_id"]
    )
    await daemon.idle()


async def test_outputs_are_the_final_texts(start: Start, model: ScriptedModel) -> None:
    """Comms, tools: get_session_outputs gives the latest final texts of a visible session."""
    model.script("b", [say("one"), call("list_agents"), say("two"), say("three")])
    daemon = await start("a", "b")
    for line in ("1", "2", "3"):
        await daemon.say("b", line)
    found = (await daemon.tool("a", "get_session_outputs", session_id="b", limit=2))["outputs"]
    assert [output["text"] for output in found] == ["two", "three"]


async def test_comings_and_goings_are_told(start: Start, model: ScriptedModel) -> None:
    """Comms, discovery: who came and went is a line in the next prompt of those who may see it."""
    daemon = await start("a", "b")
    config = json.loads((daemon.home / "config.json").read_text())
    config["sessions"]["c"] = {**config["sessions"]["a"], "description": "The newcomer"}
    gone = config["sessions"].pop("b")
    assert gone
    write_config(daemon.home, config)
    await daemon.until(lambda e: e["event"] == "session_removed" and e["session"] == "b")
    await daemon.until(lambda e: e["event"] == "session_created" and e["session"] == "c")
    await daemon.say("a", "who is there?")
    prompt = model.of("a")[0].messages[0]["content"]
    assert "New since your last turn: c" in prompt
    assert "Gone since your last turn: b" in prompt


async def test_each_session_calls_its_own_endpoint(tmp_path: Path) -> None:
    """M25: two templates, two endpoints: each session uses its own address, key and model."""
    home = tmp_path / "home"
    home.mkdir()
    async with ScriptedModel() as east, ScriptedModel() as west:
        sides = {"east": east, "west": west}
        write_config(
            home,
            {
                "providerTemplates": {
                    name: {
                        "name": name,
                        "endpoint": side.url,
                        "apiKey": f"sk-key-of-{name}",
                        "availableModels": [f"{name}-large", f"{name}-small"],
                        "defaultModel": f"{name}-large",
                    }
                    for name, side in sides.items()
                },
                "sessions": {
                    "e": {"provider": {"template": "east"}},
                    "w": {"provider": {"template": "west", "model": "west-small"}},
                },
            },
        )
        async with RunningDaemon(home) as daemon:
            await daemon.say("e", "hello")
            await daemon.say("w", "hello")
        (to_east,), (to_west,) = east.requests, west.requests
        assert (to_east.model, to_east.key) == ("east-large", "sk-key-of-east")
        assert (to_west.model, to_west.key) == ("west-small", "sk-key-of-west")
    assert len(lines_of(home / "workspaces/e/history.jsonl")) > 1


async def test_a_session_that_comes_back_gets_its_mail(start: Start, model: ScriptedModel) -> None:
    """K20: mail of a session that was taken out is held, its sender told; it is not lost."""
    daemon = await start("a", "b", **{n: {"a2a": {"wakeOnMessage": False}} for n in "ab"})
    text = "held for you"
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message=text)
    config = json.loads((daemon.home / "config.json").read_text())
    entry = config["sessions"].pop("b")
    write_config(daemon.home, config)
    await daemon.until(lambda e: e["event"] == "session_removed" and e["session"] == "b")
    (told,) = (await daemon.get("/api/messages", session="a"))["items"]
    assert told["content"] == f"Message {sent['id']} is held: session b was removed"
    (held,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    assert held["state"] == "held"

    config["sessions"]["b"] = entry | {"a2a": {"wakeOnMessage": True}}
    write_config(daemon.home, config)
    await model.until(lambda: len(model.of("b")) == 1)
    await daemon.idle()
    assert text in model.of("b")[0].messages[-1]["content"]
    assert (await daemon.get(f"/api/messages/{sent['id']}"))["state"] == "read"


async def test_mail_wakes_once_waking_is_allowed(start: Start, model: ScriptedModel) -> None:
    """Comms, life: mail that waited while nothing woke its session does so from then on."""
    daemon = await start("a", "b", b={"a2a": {"wakeOnMessage": False}})
    await daemon.tool("a", "send_message_to_session", target_session="b", message="waiting")
    config = json.loads((daemon.home / "config.json").read_text())
    del config["sessions"]["b"]["a2a"]
    write_config(daemon.home, config)
    await model.until(lambda: len(model.of("b")) == 1)
    await daemon.idle()
