"""``clawd explain``: what it says is what happens, and it names the line that decides."""

from __future__ import annotations

from typing import Any

import pytest

from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.model import ScriptedModel

JSON = dict[str, Any]

HOUSE: dict[str, JSON] = {
    "open": {},
    "quiet": {"a2a": {"access": [{"from": "a", "rights": ["wake"], "allow": False}]}},
    "shut": {"a2a": {"access": [{"from": "b", "allow": True}, {"allow": False}]}},
    "tasks-only": {"a2a": {"access": [{"rights": ["delegate"], "allow": True}, {"allow": False}]}},
    "hidden": {"a2a": {"hiddenFromAgents": True}},
    "apart": {"a2a": {"enabled": False}},
    "off": {"enabled": False},
    "sleepy": {"a2a": {"wakeOnMessage": False}},
    "foreign": {"a2a": {"organization": "other"}},
    "embassy": {
        "a2a": {
            "organization": "other",
            "access": [{"from": "a", "organization": "default", "allow": True}],
        }
    },
    "muzzled": {"tools": {"deny": ["send_*", "create_session"]}},
}


async def happens(daemon: RunningDaemon, viewer: str, target: str) -> JSON:
    """What the daemon really lets one do to the other, by trying it."""
    listed = (await daemon.tool(viewer, "list_agents"))["agents"]
    read = await daemon.tool(viewer, "get_session_outputs", session_id=target)
    try:
        send = await daemon.tool(
            viewer, "send_message_to_session", target_session=target, message="x"
        )
    except ApiError as denied:
        send = denied.body
    task = await daemon.tool(viewer, "delegate_task_async", target_session=target, task="x")
    return {
        "list": target in [agent["id"] for agent in listed],
        "read": "outputs" in read,
        "send": "timestamp" in send,
        "delegate": "taskId" in task,
    }


@pytest.mark.parametrize("viewer", ["a", "b", "muzzled"])
async def test_it_says_what_happens(start: Start, model: ScriptedModel, viewer: str) -> None:
    """Comms, rights: for every pair, each right is explained as the tools then behave."""
    daemon = await start("a", "b", *HOUSE, **HOUSE, limits={"maxMessagesPerPair": 1000})
    for target in HOUSE:
        if target == viewer:
            continue
        told = (await daemon.get("/api/explain", **{"from": viewer, "to": target}))["rights"]
        explained = {each["right"]: each["allowed"] for each in told}
        real = await happens(daemon, viewer, target)
        assert {right: explained[right] for right in real} == real, target
        assert all(each["why"] for each in told)
    await daemon.idle()


async def test_it_names_the_rule(start: Start) -> None:
    """Comms, rights: path and line of what decides; a default has neither; operators may all."""
    daemon = await start("a", "b", *HOUSE, **HOUSE)

    async def of(viewer: str, target: str) -> dict[str, JSON]:
        found = await daemon.get("/api/explain", **{"from": viewer, "to": target})
        return {each["right"]: each for each in found["rights"]}

    lines = (daemon.home / "config.json").read_text().split("\n")
    wake = (await of("a", "quiet"))["wake"]
    assert (wake["allowed"], wake["path"]) == (False, "sessions.quiet.a2a.access[0]")
    assert '"quiet"' in "\n".join(lines[wake["line"] - 12 : wake["line"]])
    plain = (await of("a", "open"))["send"]
    assert (plain["path"], plain["line"]) == (None, None)
    assert (await of("b", "shut"))["send"]["path"] == "sessions.shut.a2a.access[0]"
    assert (await of("a", "shut"))["send"]["path"] == "sessions.shut.a2a.access[1]"
    hidden = (await of("a", "hidden"))["list"]
    assert hidden["path"] == "sessions.hidden.a2a.hiddenFromAgents"
    assert lines[hidden["line"] - 1].strip().startswith('"hiddenFromAgents"')
    assert (await of("muzzled", "open"))["send"]["path"] == "sessions.muzzled.tools.deny"
    assert (await of("a", "muzzled"))["create"]["path"] == "sessions.muzzled.tools.deny"
    assert all(each["allowed"] for each in (await of("operator", "shut")).values())
    assert (await of("a", "operator"))["send"]["allowed"]
    with pytest.raises(ApiError, match="opn") as unknown:
        await of("a", "opn")
    assert unknown.value.http == 404
    with pytest.raises(ApiError, match="one and the same"):
        await of("a", "a")


async def test_a_child_is_explained_by_its_maker(start: Start, model: ScriptedModel) -> None:
    """M17: the rule that stops a session through the one that made it is named with that one."""
    rule = {"from": "a", "rights": ["send"], "allow": False}
    daemon = await start("a", "b", b={"a2a": {"access": [rule]}})
    await daemon.tool(
        "a", "create_session", session_id="kid", provider_template="scripted", name="Kid"
    )
    found = await daemon.get("/api/explain", **{"from": "kid", "to": "b"})
    (send,) = [each for each in found["rights"] if each["right"] == "send"]
    assert send["path"] == "sessions.b.a2a.access[0]"
    assert "a, which made it" in send["why"]
