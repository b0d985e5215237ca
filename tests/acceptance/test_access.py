"""Rights between sessions, on a running daemon: every path asks the same question."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import latest, write_config
from clawd.testing.model import ScriptedModel, call, say

JSON = dict[str, Any]


def access(*rules: JSON, **more: Any) -> JSON:
    """The settings of a session with this list."""
    return {"a2a": {"access": list(rules), **more}}


def deny(*rights: str, who: str = "*") -> JSON:
    """A rule that takes rights away."""
    return {"from": who, "allow": False} | ({"rights": list(rights)} if rights else {})


async def edit(daemon: RunningDaemon, session: str, a2a: JSON) -> None:
    """Change ``a2a`` of a session in the file, and wait until it is in force."""
    config = json.loads((daemon.home / "config.json").read_text())
    config["sessions"][session]["a2a"] = a2a
    seen = len(daemon.named("notice"))
    write_config(daemon.home, config)
    await daemon.until(
        lambda e: e in daemon.named("notice")[seen:] and e["code"] == "config_reloaded"
    )


PATHS: list[tuple[str, JSON]] = [
    ("send_message_to_session", {"target_session": "ID", "message": "x"}),
    ("send_message_to_session", {"target_session": "ID", "message": "x", "wait_seconds": 1}),
    ("send_message_to_session", {"target_session": ["ID"], "message": "x"}),
    ("delegate_task_async", {"target_session": "ID", "task": "x"}),
    ("get_session_outputs", {"session_id": "ID"}),
]


@pytest.mark.parametrize("kind", ["denied", "foreign", "hidden", "gone"])
async def test_closed_and_unknown_answer_alike(start: Start, kind: str) -> None:
    """B20: to the letter the same for an unknown id and one that is closed, on every path."""
    closed = {
        "denied": access(deny()),
        "foreign": {"a2a": {"organization": "other"}},
        "hidden": access(deny("send", "delegate", "read", "wake"), hiddenFromAgents=True),
        "gone": {"enabled": False} | access(deny()),
    }[kind]
    daemon = await start("a", "b", "secret-1", **{"secret-1": closed})
    for tool, arguments in PATHS:

        async def told(name: str, tool: str = tool, arguments: JSON = arguments) -> str:
            given = json.loads(json.dumps(arguments).replace("ID", name))
            return json.dumps(await daemon.tool("a", tool, **given)).replace(name, "ID")

        answer = await told("secret-1")
        assert answer == await told("secret-2")
        assert "unknown_session" in answer
    for sender, target in (("from", "to"), ("fromSession", "toSession")):
        path, text = ("messages", "content") if sender == "from" else ("tasks", "task")

        async def raw(name: str, path: str = path, **body: str) -> str:
            response = await daemon.raw("POST", f"/api/{path}", json=body)
            assert response.status_code == 404
            return response.text.replace(name, "ID")

        bodies = [{sender: "a", target: n, text: "x"} for n in ("secret-1", "secret-2")]
        assert await raw("secret-1", **bodies[0]) == await raw("secret-2", **bodies[1])
    assert "secret" not in json.dumps(await daemon.tool("a", "list_agents", query="secret"))
    assert [m["to"] for m in (await daemon.tool("a", "broadcast_message", message="x"))["messages"]]
    assert (await daemon.get("/api/messages", session="secret-1"))["items"] == []


async def test_a_taken_id_is_like_a_reserved_one(start: Start) -> None:
    """B15: whoever creates a session learns of no other by its id."""
    daemon = await start("a", "secret", secret={"a2a": {"organization": "other"}})
    told = set()
    for name in ("secret", "SECRET", "user", "tasks"):
        refused = await daemon.tool(
            "a", "create_session", session_id=name, provider_template="scripted", name="x"
        )
        told.add(json.dumps(refused).replace(name, "ID"))
    assert len(told) == 1
    assert "name_not_available" in told.pop()


async def test_each_right_is_its_own(start: Start, model: ScriptedModel) -> None:
    """Comms, rights: a rule takes away what it names; who is in sight is told so plainly."""
    model.script("b", [say("said")])
    daemon = await start(
        "a", "b", "c", b=access(deny("send", "read", who="a")), c=access(deny("list"))
    )
    await daemon.say("b", "say something")
    assert [x["id"] for x in (await daemon.tool("a", "list_agents"))["agents"]] == ["b"]
    for tool, arguments in (
        ("send_message_to_session", {"target_session": "b", "message": "x"}),
        ("get_session_outputs", {"session_id": "b"}),
    ):
        assert (await daemon.tool("a", tool, **arguments))["error"] == "access_denied"
    assert "taskId" in await daemon.tool("a", "delegate_task_async", target_session="b", task="x")
    # Out of sight, and reached by whoever knows the id, as a hidden one is.
    sent = await daemon.tool("a", "send_message_to_session", target_session="c", message="x")
    assert sent["state"] == "stored"
    assert (await daemon.tool("a", "get_session_outputs", session_id="c"))[
        "error"
    ] == "unknown_session"
    await daemon.say("a", "who is there?")
    prompt = model.of("a")[-1].messages[0]["content"]
    assert "- b: " in prompt
    assert "- c: " not in prompt
    await daemon.idle()


async def test_without_the_right_to_wake_mail_waits(start: Start, model: ScriptedModel) -> None:
    """Comms, rights: the message is stored and starts no turn, over a restart too, until it may."""
    daemon = await start("a", "b", b=access(deny("wake")))
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message="later")
    assert sent["state"] == "stored"
    await daemon.kill()
    await daemon.start()
    await daemon.idle()
    assert model.of("b") == []
    assert (await daemon.get(f"/api/messages/{sent['id']}"))["state"] == "stored"
    # A task is work that was asked for: its own right decides, and its verdict wakes whoever asked.
    task = await daemon.tool("b", "delegate_task_async", target_session="a", task="work")
    await model.until(lambda: len(model.of("b")) == 1)
    assert task["taskId"] in str(model.of("b")[0].messages)
    await edit(daemon, "b", {})
    await model.until(lambda: any("later" in str(r.messages) for r in model.of("b")))
    await daemon.idle()


async def test_a_denial_counts_at_once(start: Start, model: ScriptedModel) -> None:
    """Sessions, hot reload: a turn that runs keeps its prompt, not the rights that were taken."""
    daemon = await start("a", "b")
    model.script(
        "a",
        [
            call("send_message_to_session", target_session="b", message="x"),
            call("list_agents"),
            say("done"),
        ],
    )
    gate = model.hold("a")
    turn = await daemon.prompt("a", "write to b")
    await gate.reached()
    await edit(daemon, "b", {"access": [deny()]})
    gate.open()
    assert await daemon.ended(turn) == "done"
    first, second = [m["content"] for m in model.of("a")[-1].messages if m["role"] == "tool"]
    assert "unknown_session" in first
    assert '"agents":[]' in second
    assert (await daemon.get("/api/messages", session="b"))["items"] == []


async def test_across_organizations_only_by_a_rule(start: Start, model: ScriptedModel) -> None:
    """Comms, visibility: what a rule of the target opens is open, one way and for that right."""
    rule = {"from": "a", "organization": "out", "rights": ["send"], "allow": True}
    daemon = await start(
        "a", "b", a={"a2a": {"organization": "out"}}, b=access(rule, organization="in")
    )
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message="x")
    assert sent["state"] == "stored"
    for session, tool, arguments in (
        ("a", "delegate_task_async", {"target_session": "b", "task": "x"}),
        ("b", "send_message_to_session", {"target_session": "a", "message": "x"}),
    ):
        assert (await daemon.tool(session, tool, **arguments))["error"] == "unknown_session"
    assert (await daemon.tool("a", "list_agents"))["agents"] == []
    # It may write, not wake; an answer that is waited for comes all the same.
    await daemon.idle()
    assert model.of("b") == []


async def test_a_child_is_as_closed_as_its_maker(start: Start, model: ScriptedModel) -> None:
    """M17: a child inherits the rules of its maker, and gets to nobody who denies its maker."""
    daemon = await start(
        "boss", "b", "c", boss=access(deny("send", who="c")), b=access(deny("send", who="boss"))
    )
    made = await daemon.tool(
        "boss", "create_session", session_id="kid", provider_template="scripted", name="Kid"
    )
    assert made["id"] == "kid"
    for _ in range(2):
        for sender, target in (("c", "kid"), ("kid", "b")):
            refused = await daemon.tool(
                sender, "send_message_to_session", target_session=target, message="x"
            )
            assert refused["error"] == "access_denied", (sender, target)
        for target in ("kid", "c"):
            assert "id" in await daemon.tool(
                "boss", "send_message_to_session", target_session=target, message="x"
            )
        await daemon.idle()
        await daemon.kill()
        await daemon.start()


async def test_who_may_have_it_create_sessions(start: Start, model: ScriptedModel) -> None:
    """Comms, rights: a turn that a session without ``create`` led to makes none; your own does."""
    make = call("create_session", session_id="kid", provider_template="scripted", name="Kid")
    model.script("b", [make, say("no")])
    daemon = await start("a", "b", b=access(deny("create", who="a")))
    await daemon.tool("a", "delegate_task_async", target_session="b", task="make one")
    await daemon.until(lambda e: e["event"] == "run_finished" and e["session"] == "b")
    await daemon.idle()
    (refused,) = daemon.named("tool_call_error")
    assert refused["error"]["error"] == "access_denied"
    assert not (daemon.home / "workspaces/kid").exists()
    assert not [s for s in (await daemon.get("/api/sessions"))["items"] if s["id"] == "kid"]
    model.script("b", [make, say("yes")])
    assert await daemon.say("b", "make one") == "yes"
    assert (daemon.home / "workspaces/kid").is_dir()


async def test_a_receipt_takes_the_right_to_send(start: Start, model: ScriptedModel) -> None:
    """Comms, rights: an acknowledgement reaches nobody who is closed to the reader."""
    daemon = await start("a", "b", a=access(deny("send")), b={"a2a": {"wakeOnMessage": False}})
    sent = await daemon.tool("a", "send_message_to_session", target_session="b", message="x")
    refused = await daemon.tool("b", "acknowledge_message", message_id=sent["id"], note="hello")
    assert refused["error"] == "access_denied"
    (kept,) = latest(daemon.home / "workspaces/b/session_messages.jsonl")
    assert not kept["read"]
    assert (await daemon.get("/api/messages", session="a"))["items"] == []


async def test_the_state_of_a_worker_is_for_whoever_may_know_it(start: Start) -> None:
    """B20: a task's list tells of a closed worker what it tells of one that is gone."""
    daemon = await start("a", "b", b={"enabled": True})
    made = await daemon.tool("a", "delegate_task_async", target_session="b", task="x")
    await daemon.task(made["taskId"])

    async def state() -> str:
        found = await daemon.tool("a", "check_async_tasks", task_id=made["taskId"])
        return str(found["tasks"][0]["targetStatus"])

    assert await state() in ("idle", "busy")
    await edit(daemon, "b", {"access": [deny()]})
    assert await state() == "gone"
