"""R06: an endpoint and a network that fail, seen from the daemon: attempts, waits, what is kept."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tests.faults.soak_house import HouseHere

from clawd.llm.patience import Patience
from clawd.testing.daemon import ApiError
from clawd.testing.homes import lines_of, scripted, write_config
from clawd.testing.model import (
    ScriptedModel,
    Step,
    call,
    calls,
    cut,
    cut_in_arguments,
    empty,
    empty_body,
    end_without_finish,
    error,
    fail,
    fail_inside,
    garbage,
    html,
    overflow,
    raw_call,
    reset,
    say,
    stall,
    tool,
)
from clawd.testing.proxy import FaultProxy, TcpFault

JSON = dict[str, Any]
QUICK = Patience(backoff=0.01, connect=2, first_token=0.2, idle=0.2)


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    """A strict endpoint that does as it is told."""
    async with ScriptedModel() as running:
        yield running


@pytest.fixture
async def proxy(model: ScriptedModel) -> AsyncIterator[FaultProxy]:
    """A bad network before it."""
    async with FaultProxy(model.port) as running:
        yield running


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[HouseHere]:
    """A daemon that does not start by itself; see ``begin``."""
    async with asyncio.TaskGroup() as group:
        house = HouseHere(tmp_path, group)
        yield house
        await house.stop()


async def begin(house: HouseHere, url: str, *sessions: str, **template: Any) -> None:
    """Start it with these sessions and further keys of their template; its patience is short."""
    config = scripted(url, *sessions)
    config["providerTemplates"]["scripted"] |= template
    write_config(house.home, config)
    await house.start()
    (await house.house.models.warm()).patience = QUICK  # type: ignore[attr-defined]


def kept(house: HouseHere, session: str) -> list[JSON]:
    """The chat messages in a session's transcript."""
    lines = lines_of(house.home / "workspaces" / session / "history.jsonl")
    return [line["message"] for line in lines if "message" in line]


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
async def test_retry_after_holds_for_all_sessions_of_a_template(
    house: HouseHere, model: ScriptedModel, form: str
) -> None:
    """F20: no request in the window, one first after it, and then each session is answered."""
    names = [f"s{n}" for n in range(6)]
    await begin(house, model.url, *names)
    (await house.house.models.warm()).patience = Patience()  # type: ignore[attr-defined]
    goes_first = asyncio.Event()
    numbers = itertools.count(1)

    async def answer(_: JSON) -> Step:
        match next(numbers):
            case 1:
                date = formatdate(time.time() + 2, usegmt=True)
                return fail(429, headers={"Retry-After": date} if form == "date" else headers)
            case 2:
                await goes_first.wait()
        return say("ok")

    headers = {"Retry-After": "1"} if form == "seconds" else {"retry-after-ms": "900"}
    for name in names:
        model.rule(name, answer)
    turns = [await house.prompt("s0", "hello")]
    await model.until(lambda: len(model.requests) == 1 and not model.at_once["s0"])
    await asyncio.sleep(0.2)
    turns += [await house.prompt(name, "hello") for name in names[1:]]
    await model.until(lambda: len(model.requests) == 2)
    first, second = model.requests
    assert 0.88 < second.time - first.time < 4, "none in the window"
    await asyncio.sleep(0.3)
    assert len(model.requests) == 2, "one goes first; the others wait for its answer"
    goes_first.set()
    assert [await house.ended(turn) for turn in turns] == ["ok"] * 6
    assert len(model.requests) == 7


async def test_who_waited_does_not_come_back_all_at_once(
    house: HouseHere, model: ScriptedModel
) -> None:
    """F20: twenty refused together are asked for one by one as long as the endpoint refuses."""
    names = [f"s{n}" for n in range(20)]
    await begin(house, model.url, *names)
    # The gates may hold an answer for longer than a short patience.
    (await house.house.models.warm()).patience = Patience()  # type: ignore[attr-defined]
    gates = [model.hold(name) for name in names]
    for name in names:
        model.script(name, [fail(429, headers={"retry-after-ms": "500"})])
    turns = [await house.prompt(name, "hello") for name in names]
    for gate in gates:
        await gate.reached()
    storm = len(model.requests)
    probes = itertools.count()

    def first_refused(_: dict[str, Any]) -> Step:
        # No more: the second may be of the same session, which gives up after three attempts.
        refused = next(probes) == 0
        return fail(429, headers={"retry-after-ms": "500"}) if refused else say("ok")

    for name in names:
        model.rule(name, first_refused)
    for gate in gates:
        gate.open()
    await model.until(lambda: len(model.requests) >= storm + 2)
    first, second = model.requests[storm : storm + 2]
    assert second.time - first.time >= 0.45, "the second waited for the next window"
    assert [await house.ended(turn) for turn in turns] == ["ok"] * 20
    assert len(model.requests) <= storm + 2 + 20


ONCE: dict[str, tuple[Step, str]] = {
    "429 for an hour": (fail(429, headers={"Retry-After": "3600"}), "provider_busy"),
    "429 quota": (fail(429, error("no more", "insufficient_quota")), "provider_quota"),
    "429 by word": (fail(429, error("You reached your spend limit")), "provider_quota"),
    "400 by word": (fail(400, error("Your credit balance is too low")), "provider_quota"),
    "402": (fail(402), "provider_quota"),
    "401": (fail(401), "provider_auth"),
    "403": (fail(403), "provider_auth"),
    "404": (fail(404), "provider_model"),
    "422": (fail(422), "provider_refused"),
    "400": (fail(400), "provider_refused"),
    "HTML": (html(), "provider_garbage"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONCE)
async def test_what_no_retry_mends_is_asked_once(
    house: HouseHere, model: ScriptedModel, name: str
) -> None:
    """F21, F23: one attempt, one error in the chat, the line is kept, the next turn is fine."""
    step, code = ONCE[name]
    await begin(house, model.url, "a")
    model.script("a", [step])
    with pytest.raises(ApiError) as failed:
        await house.say("a", "hello")
    assert (failed.value.code, len(model.requests)) == (code, 1)
    assert "sk-canary" not in str(failed.value.body)
    if code == "provider_auth":
        assert "template 'scripted'" in failed.value.body["hint"]
    assert await house.say("a", "again") == "ok"
    assert [m["content"] for m in model.requests[-1].messages[1:]] == ["hello", "again"]


async def test_a_refused_key_names_the_variable(
    house: HouseHere, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F23: a 401 names the template and the variable of its key, and no key."""
    monkeypatch.setenv("SOME_PROVIDER_KEY", "sk-canary-9876543210")
    await begin(house, model.url, "a", apiKey="${SOME_PROVIDER_KEY}")
    model.script("a", [fail(401, error("bad key sk-canary-9876543210"))])
    with pytest.raises(ApiError) as failed:
        await house.say("a", "hello")
    assert (
        "template 'scripted' (environment variable SOME_PROVIDER_KEY)" in failed.value.body["hint"]
    )
    assert "canary" not in str(failed.value.body)


async def test_fallbacks_are_asked_one_after_another(
    house: HouseHere, model: ScriptedModel
) -> None:
    """Providers: the fallback's own fallback too; each once, each change-over with a notice."""
    names = ["one", "two", "three"]
    templates = {
        name: {
            "endpoint": model.url,
            "apiKey": f"sk-canary-{name}-0123456",
            "availableModels": [name],
            "defaultModel": name,
            **({"fallback": following} if following else {}),
        }
        for name, following in itertools.zip_longest(names, names[1:])
    }
    write_config(house.home, {"providerTemplates": templates, "sessions": {"a": {}}})
    await house.start()
    model.script("one", [fail(402)])
    model.script("two", [fail(402)])
    assert await house.say("a", "hello") == "ok"
    assert [r.model for r in model.requests] == names
    told = [e["text"] for e in house.named("notice") if e["code"] == "fell_back"]
    assert ["'two' answers" in told[0], "'three' answers" in told[1]] == [True, True]


NETWORK = {
    "late": (TcpFault.late(0.1), True),
    "cut at once": (TcpFault.cut(), False),
    "cut in the head": (TcpFault.cut(30), False),
    "cut in the text": (TcpFault.cut(700), False),
    "reset at once": (TcpFault.reset(), False),
    "reset in the text": (TcpFault.reset(700), False),
    "hang at once": (TcpFault.hang(), False),
    "hang in the text": (TcpFault.hang(700), False),
}


@pytest.mark.parametrize("name", NETWORK)
async def test_a_network_that_fails_once_is_not_seen(
    house: HouseHere, model: ScriptedModel, proxy: FaultProxy, name: str
) -> None:
    """F24 to F26: after one fault of the network the answer comes whole, and nothing twice."""
    fault, passes = NETWORK[name]
    text = "one two three four five six seven eight nine ten"
    await begin(house, proxy.url, "a")
    model.rule("a", lambda _: say(text))
    faults = iter([fault])
    proxy.choose = lambda: next(faults, TcpFault())
    assert await house.say("a", "count") == text
    assert len(model.requests) == (1 if passes else 2)
    pieces = [e["content"] for e in house.named("text_message_content")]
    assert "".join(pieces) == text
    assert [m["content"] for m in kept(house, "a")] == ["count", text]


@pytest.mark.parametrize("name", [name for name in NETWORK if name != "late"])
async def test_a_network_that_stays_bad_is_an_error(
    house: HouseHere, model: ScriptedModel, proxy: FaultProxy, name: str
) -> None:
    """F25, F26: two or three attempts, an error, no half answer shown or kept as a whole one."""
    await begin(house, proxy.url, "a")
    model.rule("a", lambda _: say("one two three four five six seven eight nine ten"))
    proxy.fault = NETWORK[name][0]
    with pytest.raises(ApiError) as failed:
        await house.say("a", "count")
    assert failed.value.code in ("provider_unreachable", "provider_cut", "provider_timeout")
    assert len(model.requests) == (2 if "hang" in name else 3)
    assert [m["content"] for m in kept(house, "a")] == ["count"]
    assert all(e.get("partial") for e in house.named("text_message_end"))
    await proxy.unused()


async def test_a_drip_does_not_pass_the_total_limit(
    house: HouseHere, model: ScriptedModel, proxy: FaultProxy
) -> None:
    """F25: bytes that never stop for long do not keep a call from its limit."""
    await begin(house, proxy.url, "a", timeoutSeconds=1.0)
    model.rule("a", lambda _: say("one two three four five six seven eight nine ten"))
    proxy.fault = TcpFault.drip(0.05, after=900)
    began = time.monotonic()
    with pytest.raises(ApiError) as failed:
        await house.say("a", "hello")
    assert failed.value.code == "provider_timeout"
    assert 0.9 < time.monotonic() - began < 3
    await proxy.unused()


@pytest.mark.faults
async def test_a_hundred_hangs_leave_no_connection(
    house: HouseHere, model: ScriptedModel, proxy: FaultProxy
) -> None:
    """F25: after a hundred answers that hang, nothing is open but what serves the next."""
    names = [f"s{n}" for n in range(10)]
    await begin(house, proxy.url, *names)
    proxy.choose = lambda: TcpFault.hang(random.choice([0, 200, 700]))
    for _ in range(5):
        turns = [await house.prompt(name, "hello") for name in names]
        for turn in turns:
            with pytest.raises(ApiError):
                await house.ended(turn)
    assert proxy.done["hang"] == 100
    await proxy.unused()
    proxy.choose = TcpFault
    assert await house.say("s0", "well?") == "ok"


async def test_a_call_that_is_cut_off_is_never_made(
    house: HouseHere, model: ScriptedModel, proxy: FaultProxy
) -> None:
    """F27: at whatever byte the stream of a call is cut, the call is made once or not at all."""
    await begin(house, proxy.url, "a", "b")
    written = iter(range(10_000))

    def answer(body: JSON) -> Step:
        if body["messages"][-1]["role"] == "tool":
            return say("sent")
        text = f"number {next(written)}"
        return call("send_message_to_session", target_session="b", message=text)

    model.rule("a", answer)
    model.rule("b", lambda _: say("noted"))
    for after in range(100, 1500, 70):
        faults = iter([TcpFault.cut(after)])
        proxy.choose = lambda faults=faults: next(faults, TcpFault())  # type: ignore[misc]
        assert await house.say("a", f"send, cut after {after}") == "sent"
    await house.idle()
    texts = [m["content"] for m in lines_of(house.home / "workspaces/b/session_messages.jsonl")]
    assert len(set(texts)) == len(range(100, 1500, 70))
    assert not [r for r in model.requests if r.refused]


async def test_arguments_may_be_mended_twice(house: HouseHere, model: ScriptedModel) -> None:
    """F28: the model is told what is wrong with its JSON two times; then the turn fails."""
    await begin(house, model.url, "a")
    broken = raw_call("list_agents", '{"capability": wor')
    model.script("a", [broken, broken, call("list_agents"), say("got it")])
    assert await house.say("a", "who is there?") == "got it"
    told = [m["content"] for m in model.requests[1].messages if m["role"] == "tool"]
    assert "not valid JSON" in told[0]
    assert "wor" in told[0]
    model.rule("a", lambda _: raw_call("list_agents", '{"capability": wor'))
    before = len(model.requests)
    with pytest.raises(ApiError) as failed:
        await house.say("a", "once more")
    assert failed.value.code == "malformed_arguments"
    assert len(model.requests) - before == 3
    model.rule("a", lambda _: say("well again"))
    assert await house.say("a", "and now?") == "well again"
    assert not [r for r in model.requests if r.refused]


async def test_an_empty_answer_is_said_to_be_one(house: HouseHere, model: ScriptedModel) -> None:
    """F32: asked once more, then the human is told that there was nothing."""
    await begin(house, model.url, "a")
    model.script("a", [empty(), empty()])
    assert await house.say("a", "hello") == ""
    assert len(model.requests) == 2
    assert [e["code"] for e in house.named("notice") if e.get("session") == "a"] == ["empty_answer"]


def everything(chance: random.Random) -> Step:
    """Any of the ways in which an answer is wrong, or right."""
    return chance.choice(
        [
            say("fine"),
            call("list_agents"),
            calls(call("list_agents"), call("list_agents", query="b"), text="Let me see."),
            calls(tool("list_agents", "{}", "same"), tool("list_agents", "{}", "same")),
            raw_call("list_agents", "{}"),
            raw_call(None, "{}"),
            raw_call("list_agents", '{"query": '),
            raw_call("list_agents", "[1]"),
            raw_call("no_such_tool", "{}"),
            call("send_message_to_session", target_session="nobody", message="x"),
            fail(500),
            fail(400),
            fail(429),
            cut("half of"),
            cut_in_arguments("list_agents", '{"que'),
            end_without_finish("all of it?"),
            stall("I was about"),
            reset(),
            html(),
            empty(),
            empty_body(),
            overflow(),
            garbage(),
            garbage(b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n'),
            fail_inside("it broke", before="Well,"),
        ]
    )


@pytest.mark.faults
async def test_whatever_is_answered_the_next_request_is_valid(
    house: HouseHere, model: ScriptedModel
) -> None:
    """F30: 300 turns of random faults, some of them cancelled; a strict endpoint refuses none."""
    chance = random.Random(6)
    names = [f"s{n}" for n in range(10)]
    await begin(house, model.url, *names)
    for name in names:
        model.rule(name, lambda _: everything(chance))
    for number in range(30):
        turns = [await house.prompt(name, f"line {number}") for name in names]
        if number % 5 == 0:
            await house.post(f"/api/sessions/{chance.choice(names)}/cancel")
        for turn in turns:
            await house.until(
                lambda e, turn=turn: (  # type: ignore[misc]
                    e.get("run_id") == turn and e["event"] in ("run_finished", "run_failed")
                )
            )
    assert not [r.refused for r in model.requests if r.refused]
    for name in names:
        model.rule(name, lambda _: say("well again"))
        assert await house.say(name, "and now?") == "well again"
    assert len(model.requests) > 300
