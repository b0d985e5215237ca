"""Which endpoint a session calls, with which key, and what happens when it fails."""

from __future__ import annotations

from clawd.testing.daemon import Start
from clawd.testing.homes import write_config
from clawd.testing.model import ScriptedModel, cut, fail, say


async def test_a_failing_endpoint_is_replaced_by_the_fallback(
    start: Start, model: ScriptedModel
) -> None:
    """Providers: when an endpoint refuses, its fallback answers and a notice says so."""
    model.script("first", [fail(401, {"error": {"message": "no"}})])
    model.script("second", [say("from the second")])
    daemon = await start("a")
    template = {"endpoint": model.url, "apiKey": "sk-canary-1"}
    one = {**template, "availableModels": ["first"], "defaultModel": "first", "fallback": "two"}
    two = {**template, "availableModels": ["second"], "defaultModel": "second"}
    write_config(
        daemon.home, {"providerTemplates": {"one": one, "two": two}, "sessions": {"a": {}}}
    )
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == "config_reloaded")
    assert await daemon.say("a", "hello") == "from the second"
    (notice,) = [e for e in daemon.named("notice") if e["code"] == "fell_back"]
    assert "'two' answers instead" in notice["text"]
    assert "sk-canary-1" not in notice["text"]


async def test_an_answer_that_was_cut_off_and_comes_back_different(
    start: Start, model: ScriptedModel
) -> None:
    """R06: the half that was shown ends as partial; the other answer alone is kept."""
    daemon = await start("a")
    model.script("a", [cut("The first half "), say("Another answer.")])
    assert await daemon.say("a", "hello") == "Another answer."
    half, whole = daemon.named("text_message_end")
    assert (half["full_content"], half["partial"]) == ("The first half ", True)
    assert whole["full_content"] == "Another answer."
    assert not whole.get("partial")
    assert "answer_restarted" in [e["code"] for e in daemon.named("notice")]
    told = (await daemon.get("/api/sessions/a/transcript"))["items"]
    assert [line["message"]["content"] for line in told] == ["hello", "Another answer."]
    assert await daemon.say("a", "and then?") == "ok"
    sent = model.requests[-1].messages
    assert [m["content"] for m in sent if m["role"] == "assistant"] == ["Another answer."]
