"""Templates, keys and models change while the daemon runs."""

from __future__ import annotations

import pytest

from clawd.testing.daemon import ApiError, Start
from clawd.testing.model import ScriptedModel, call, say
from clawd.testing.reload import read_config, reloaded


async def test_a_missing_variable_holds_its_template_alone(
    start: Start, model: ScriptedModel
) -> None:
    """R10: who asks for the held template gets the name of the variable; the rest goes on."""
    daemon = await start("a", "b")
    config = read_config(daemon)
    held = {**config["providerTemplates"]["scripted"], "apiKey": "${CLAWD_TEST_NOT_SET}"}
    config["providerTemplates"]["held"] = held
    config["sessions"]["b"]["provider"] = {"template": "held", "model": "b"}
    await reloaded(daemon, config)
    assert await daemon.say("a", "hello") == "ok"
    with pytest.raises(ApiError, match="CLAWD_TEST_NOT_SET") as caught:
        await daemon.say("b", "hello")
    assert caught.value.code == "key_missing"
    status = await daemon.get("/api/status")
    assert status["config"]["state"] == "ok"
    assert "providerTemplates.held.apiKey" in status["config"]["problems"][0]
    shown = {p["id"]: p for p in status["providers"]}
    assert shown["scripted"]["ok"] is True
    assert shown["held"]["ok"] is False
    assert "CLAWD_TEST_NOT_SET" in shown["held"]["problem"]
    assert not model.of("b")


async def test_a_key_does_not_follow_its_endpoint_to_another_host(
    start: Start, model: ScriptedModel
) -> None:
    """A template whose endpoint was moved is held until the operator confirms, also by a restart.

    With a new key the endpoint may be another at once.
    """
    async with ScriptedModel() as other:
        daemon = await start("a", "b")
        config = read_config(daemon)
        assert await daemon.say("a", "one") == "ok"
        config["providerTemplates"]["scripted"]["endpoint"] = other.url
        await reloaded(daemon, config)
        for restart in (False, True):
            if restart:
                await daemon.stop()
                await daemon.start()
            with pytest.raises(ApiError, match=r"clawd providers confirm scripted|given for") as no:
                await daemon.say("a", "two")
            assert no.value.code == "endpoint_moved"
            assert "confirm scripted" in no.value.body["hint"]
        shown = {p["id"]: p for p in (await daemon.get("/api/status"))["providers"]}
        assert shown["scripted"]["ok"] is False
        assert not other.requests

        confirmed = await daemon.ask("POST", "/api/providers/scripted/confirm", json={})
        assert (confirmed["id"], confirmed["key"]) == ("scripted", "ok")
        assert await daemon.say("a", "three") == "ok"
        assert other.requests[-1].headers["authorization"] == "Bearer sk-canary-0123456789"

        config["providerTemplates"]["scripted"] |= {"endpoint": model.url, "apiKey": "sk-another"}
        await reloaded(daemon, config)
        assert await daemon.say("a", "four") == "ok"
        assert model.requests[-1].headers["authorization"] == "Bearer sk-another"
        assert "sk-" not in (daemon.home / "state/keys.json").read_text(encoding="utf-8")


async def test_a_held_fallback_holds_nobody(start: Start, model: ScriptedModel) -> None:
    """A fallback whose key is missing is not asked; the session's own template answers."""
    daemon = await start("a", "b")
    config = read_config(daemon)
    config["providerTemplates"]["second"] = {
        **config["providerTemplates"]["scripted"],
        "apiKey": "${CLAWD_TEST_NOT_SET}",
    }
    config["sessions"]["a"]["provider"]["fallback"] = "second"
    await reloaded(daemon, config)
    assert await daemon.say("a", "hello") == "ok"


async def test_a_model_and_rights_change_while_a_turn_runs(
    start: Start, model: ScriptedModel
) -> None:
    """A running turn keeps its model; a denial applies to its very next call."""
    model.script("a", [call("list_agents"), call("list_agents"), say("done")])
    gate = model.hold("a")
    daemon = await start("a", "b")
    config = read_config(daemon)
    turn = await daemon.prompt("a", "look around")
    await gate.reached()
    config["sessions"]["a"]["tools"] = {"deny": ["list_*"]}
    config["sessions"]["a"]["provider"]["model"] = "spare"
    await reloaded(daemon, config)
    gate.open()
    assert await daemon.ended(turn) == "done"
    errors = [e["error"]["error"] for e in daemon.named("tool_call_error", "a")]
    assert errors == ["tool_denied", "tool_denied"]
    assert [r.model for r in model.requests] == ["a"] * 3
    assert await daemon.say("a", "again") == "ok"
    last = model.requests[-1]
    assert last.model == "spare"
    assert "list_agents" not in [t["function"]["name"] for t in last.body["tools"]]
