"""Long conversations: what is summarised, what stays word for word, and what a failure does."""

from __future__ import annotations

from typing import Any

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import latest
from clawd.testing.model import ScriptedModel, call, fail, overflow, say

JSON = dict[str, Any]

SMALL = {
    "context": {"maxTokens": 3200, "compressionThreshold": 0.4, "keepRecentMessages": 4},
    # What the prompt says of other groups would take the room of messages.
    "tools": {"allow": ["list_agents"], "files": False, "web": False, "schedule": False},
}
LONG = "word " * 100


def wants_summary(body: JSON) -> bool:
    """Whether the request is the daemon's own, to summarise."""
    return str(body["messages"][0]["content"]).startswith("Summarise")


async def talk(daemon: RunningDaemon, lines: range) -> None:
    """Say numbered lines, one after another."""
    for number in lines:
        await daemon.say("a", f"line {number} {LONG}")


async def test_older_history_is_summarised(start: Start, model: ScriptedModel) -> None:
    """Past the threshold a summary stands for the older; the newest stay; the file keeps all."""
    model.rule("a", lambda b: say("SUMMARY of it" if wants_summary(b) else "answer"))
    daemon = await start("a", a=SMALL)
    await talk(daemon, range(12))
    asked = [r.messages for r in model.of("a") if wants_summary(r.body)]
    assert asked
    assert "line 0" in asked[0][1]["content"]
    assert all("SUMMARY of it" in a[1]["content"] for a in asked[1:]), "summaries build on another"
    last = [m for m in model.of("a")[-1].messages if m["role"] != "system"]
    assert "SUMMARY of it" in last[0]["content"]
    texts = [m["content"].split(" word")[0] for m in last[1:]]
    assert texts[-5:] == ["line 9", "answer", "line 10", "answer", "line 11"]
    assert "line 0" not in texts
    said = [
        x["message"]["content"]
        for x in latest(daemon.home / "workspaces/a/history.jsonl")
        if x["type"] == "message"
    ]
    assert [t.split(" word")[0] for t in said if t.startswith("line")] == [
        f"line {n}" for n in range(12)
    ]
    assert [n["code"] for n in daemon.named("notice", "a")] == ["compacted"] * len(asked)
    calls = len(model.of("a"))
    usage = (await daemon.get("/api/sessions/a"))["usage"]
    assert usage["inputTokens"] == 100 * calls, "a summary is paid for like any call"
    await daemon.kill()
    await daemon.start()
    await talk(daemon, range(12, 13))
    assert "SUMMARY of it" in str(model.of("a")[-1].messages[1]["content"])


async def test_a_call_is_never_parted_from_its_result(start: Start, model: ScriptedModel) -> None:
    """Wherever the cut falls, a strict endpoint accepts the rest."""
    turns = {"n": 0}

    def rule(body: JSON) -> Any:
        if wants_summary(body):
            return say("SUMMARY")
        if body["messages"][-1]["role"] == "tool":
            turns["n"] += 1
            return call("list_agents", query=LONG) if turns["n"] % 3 else say("done")
        return call("list_agents", query=LONG)

    model.rule("a", rule)
    daemon = await start("a", a=SMALL)
    await talk(daemon, range(6))
    assert any(wants_summary(r.body) for r in model.of("a"))
    assert not any(r.refused for r in model.requests)


async def test_a_summary_that_fails_drops_the_oldest(start: Start, model: ScriptedModel) -> None:
    """The turn goes on without the oldest messages, and both model and operator are told."""
    model.rule("a", lambda b: fail(400) if wants_summary(b) else say("answer"))
    daemon = await start("a", a=SMALL)
    await talk(daemon, range(10))
    last = model.of("a")[-1].messages
    assert "were dropped" in last[1]["content"]
    assert "line 0" not in str(last)
    assert "line 9" in last[-1]["content"]
    codes = {n["code"] for n in daemon.named("notice", "a")}
    assert codes == {"compaction_failed"}


async def test_an_endpoint_that_says_too_long_is_asked_once_more(
    start: Start, model: ScriptedModel
) -> None:
    """A context-length refusal leads to a summary and one retry; the human sees one answer."""
    daemon = await start("a", a={"context": {"keepRecentMessages": 4}})
    await talk(daemon, range(4))
    model.script("a", [overflow(), say("SUMMARY"), say("fits now")])
    assert await daemon.say("a", "once more") == "fits now"
    last = model.of("a")[-1].messages
    assert "SUMMARY" in last[1]["content"]
    assert last[-1]["content"] == "once more"


async def test_an_endpoint_that_always_says_too_long_fails_the_turn(
    start: Start, model: ScriptedModel
) -> None:
    """There is one retry, then one clear error; the session stays usable."""
    daemon = await start("a")
    await talk(daemon, range(2))
    before = len(model.of("a"))
    model.script("a", [overflow(), say("SUMMARY"), overflow()])
    turn = await daemon.prompt("a", "once more")
    failed = await daemon.until(lambda e: e["event"] == "run_failed" and e["run_id"] == turn)
    assert failed["error"]["error"]
    assert len(model.of("a")) == before + 3
    assert await daemon.say("a", "shorter") == "ok"


async def test_compaction_on_demand(start: Start, model: ScriptedModel) -> None:
    """The operator may have older history summarised at any time."""
    daemon = await start("a")
    await talk(daemon, range(6))
    model.script("a", [say("SUMMARY")])
    sizes = await daemon.post("/api/sessions/a/compact")
    assert sizes["after"] < sizes["before"]
    assert await daemon.say("a", "and?") == "ok"
    assert "SUMMARY" in model.of("a")[-1].messages[1]["content"]
