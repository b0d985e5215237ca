"""The real client against a real server, when all goes well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pytest

from clawd.errors import Invalid, ProviderError, TimedOut
from clawd.llm.pool import ModelPool
from clawd.llm.port import ChatModel, ChatRequest, Reply, TextDelta
from clawd.messages import Function, ToolCall, Usage, assistant, system, tool_result, user
from clawd.secrets import Secret
from clawd.testing.model import ScriptedModel, call, calls, hang, raw_call, say, slow, tool
from clawd.testing.steps import Gate

if TYPE_CHECKING:
    from tests.llm.conftest import Conversation

PING = {"type": "function", "function": {"name": "ping", "parameters": {"type": "object"}}}


class PerMillion:
    """A price in USD for a million tokens."""

    input = 2.0
    output = 10.0


async def test_streams_text_and_ends_with_one_reply(
    server: ScriptedModel, talk: Conversation
) -> None:
    """Deltas together are the reply's text, and the reply is the last thing."""
    server.script("m", [say("Grüße, 世界 and all")])
    heard = await talk.ask()
    assert "".join(heard.deltas) == heard.reply.text == "Grüße, 世界 and all"
    assert (heard.reply.finish, heard.reply.calls) == ("stop", ())
    assert heard.reply.usage == Usage(100, 10)


async def test_sends_the_conversation_in_the_wire_format(
    server: ScriptedModel, talk: Conversation
) -> None:
    """A strict endpoint accepts the history; what is not set is not sent."""
    asked = ToolCall("c1", Function("ping", '{"at":1}'))
    await talk.ask(
        talk.request(
            system("be kind"),
            user("hi"),
            assistant("", (asked,)),
            tool_result(asked, "pong"),
            user("ü"),
            tools=(PING,),
            temperature=0.5,
            max_output_tokens=99,
            session="s",
        )
    )
    recorded = server.requests[0]
    assert recorded.refused == ""
    assert recorded.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "ping", "arguments": '{"at":1}'},
                    }
                ],
            },
            {"role": "tool", "content": "pong", "tool_call_id": "c1"},
            {"role": "user", "content": "ü"},
        ],
        "tools": [PING],
        "temperature": 0.5,
        "max_tokens": 99,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert recorded.key == talk.key
    await talk.ask()
    assert set(server.requests[1].body) == {"model", "messages", "stream", "stream_options"}


async def test_refuses_text_that_is_not_unicode(talk: Conversation) -> None:
    """Half of a surrogate pair cannot be sent."""
    with pytest.raises(Invalid, match="not Unicode"):
        await talk.ask(talk.request(user("\ud800")))


async def test_sends_no_key_where_there_is_none(server: ScriptedModel, talk: Conversation) -> None:
    """A local endpoint without a key gets no Authorization header and no organisation."""
    talk.key = ""
    await talk.ask()
    assert not {"authorization", "openai-organization"} & set(server.requests[0].headers)


async def test_a_key_that_no_header_may_have_is_refused_unseen(talk: Conversation) -> None:
    """A line break in a key is an error that does not show the key."""
    talk.key = "sk-canary\r\nX-Evil: 1"
    with pytest.raises(ProviderError) as caught:
        await talk.ask()
    assert caught.value.code == "provider_auth"
    assert "canary" not in str(caught.value.as_json())


async def test_collects_parallel_tool_calls(server: ScriptedModel, talk: Conversation) -> None:
    """Fragments are put together by their index, also after some text."""
    server.script("m", [calls(call("ping", at=1), raw_call("pong", "{}", id="x"), text="I will.")])
    reply = (await talk.ask()).reply
    assert (reply.text, reply.finish) == ("I will.", "tool_calls")
    assert [(c.function.name, c.function.arguments) for c in reply.calls] == [
        ("ping", '{"at": 1}'),
        ("pong", "{}"),
    ]


async def test_makes_ids_unique(server: ScriptedModel, talk: Conversation) -> None:
    """Missing, double and already used ids are replaced; arguments are kept as they came."""
    used = ToolCall("old", Function("f", "{}"))
    steps = calls(
        raw_call("a", "not json"),
        raw_call("b", ""),
        tool("c", "{}", id="x"),
        tool("d", "{}", id="x"),
        tool("e", "{}", id="old"),
    )
    server.script("m", [steps])
    request = talk.request(user("hi"), assistant("", (used,)), tool_result(used, ""))
    found = (await talk.ask(request)).reply.calls
    assert [one.function.name for one in found] == ["a", "b", "c", "d", "e"]
    assert [one.function.arguments for one in found[:2]] == ["not json", "{}"]
    assert found[2].id == "x"
    assert len({one.id for one in found} | {"old"}) == 6
    assert all(one.id for one in found)


async def test_drops_a_call_without_a_name(server: ScriptedModel, talk: Conversation) -> None:
    """A nameless call beside a good one is left out; alone it is an error."""
    server.script(
        "m", [calls(raw_call(None, "{}", id="x"), call("ping")), raw_call(None, "{}", id="x")]
    )
    assert [one.function.name for one in (await talk.ask()).reply.calls] == ["ping"]
    with pytest.raises(ProviderError, match="without a name"):
        await talk.ask()


async def test_counts_what_the_endpoint_does_not(server: ScriptedModel, talk: Conversation) -> None:
    """Without reported usage it is estimated and marked so."""
    server.script("m", [say("eight ch", usage=None)])
    usage = (await talk.ask()).reply.usage
    assert usage.estimated
    assert usage.output_tokens == 2
    assert usage.input_tokens > 10


async def test_knows_what_a_call_cost(server: ScriptedModel) -> None:
    """Cost follows from prices for a million tokens; cached tokens are told."""
    pool = ModelPool()
    usage = {
        "prompt_tokens": 1_000_000,
        "completion_tokens": 100_000,
        "prompt_tokens_details": {"cached_tokens": 7},
    }
    server.script("m", [say("x", usage=usage)])
    model = pool.model(server.url, Secret("k"), prices={"m": PerMillion()})
    items = [item async for item in model.stream(ChatRequest("m", (user("hi"),)))]
    assert isinstance(items[-1], Reply)
    assert items[-1].usage == Usage(1_000_000, 100_000, 7, 3.0)
    await pool.close()


async def test_bounds_calls_at_once(server: ScriptedModel, talk: Conversation) -> None:
    """No more calls run than ``max_concurrency``; the others wait for their turn."""
    gates = [server.hold("m") for _ in range(5)]
    both = server.until(lambda: server.at_once["m"] == 2)
    model = talk.model(max_concurrency=2)

    async def ask() -> str:
        return (await talk.ask(model=model)).reply.text

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask()) for _ in range(5)]
        await both
        for gate in gates:
            await gate.reached()
            gate.open()
    assert [task.result() for task in asked] == ["ok"] * 5
    assert server.most_at_once["m"] == 2


async def test_a_wait_for_a_slot_has_a_limit(server: ScriptedModel, talk: Conversation) -> None:
    """A call that can never start says how many are in its way."""
    model = talk.model(max_concurrency=1, timeout_seconds=0.1)
    server.rule("m", lambda _: hang())
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_fails(talk, model)) for _ in range(3)]
    first, *others = [task.result() for task in asked]
    assert first == "provider_timeout"
    # The place that the first one leaves is free for one of the others at most.
    assert "provider_queue" in others


async def _fails(talk: Conversation, model: ChatModel) -> str:
    with pytest.raises(TimedOut) as caught:
        async for _ in model.stream(talk.request()):
            pass
    return caught.value.code


async def test_one_model_for_the_same_arguments(server: ScriptedModel, talk: Conversation) -> None:
    """The pool makes one model for an endpoint and key, so its bound holds for all who use it."""
    assert talk.model() is talk.model()
    assert talk.model() is not talk.pool.model(
        server.url, Secret("another key"), timeout_seconds=30
    )


async def test_connections_are_used_again(server: ScriptedModel, talk: Conversation) -> None:
    """Calls one after another need one connection."""
    for _ in range(5):
        await talk.ask()
    assert server.connections == 1


async def test_closing_the_stream_frees_the_endpoint(
    server: ScriptedModel, talk: Conversation
) -> None:
    """Closed in the middle, the response is gone at once, and so is the slot."""
    gate = Gate()
    server.script("m", [slow("one two", gate)])
    stream = talk.model(max_concurrency=1).stream(talk.request())
    assert await anext(stream) == TextDelta("one ")
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()
    await server.until(lambda: not server.connections)
    assert (await talk.ask(model=talk.model(max_concurrency=1))).reply.text == "ok"


async def test_a_stream_that_is_dropped_ends(server: ScriptedModel, talk: Conversation) -> None:
    """A caller that goes away without closing leaves no connection and no slot behind either."""
    gate = Gate()
    server.script("m", [slow("one two", gate)])
    model = talk.model(max_concurrency=1)
    async for _ in model.stream(talk.request()):
        break
    await server.until(lambda: not server.at_once["m"])
    assert (await talk.ask(model=model)).reply.text == "ok"


async def test_what_comes_together_is_one_delta(server: ScriptedModel, talk: Conversation) -> None:
    """Many events in one network read are one delta, so a burst costs no event for each word."""
    server.script("m", [say("word " * 500)])
    heard = await talk.ask()
    assert len(heard.deltas) < 50
    assert "".join(heard.deltas) == "word " * 500


async def test_cancelled_calls_leave_no_connection(
    server: ScriptedModel, talk: Conversation
) -> None:
    """Fifty calls cancelled before the first word and in the middle leave nothing open."""
    model = talk.model(max_concurrency=50)
    gate = Gate()
    server.script("m", [step for _ in range(25) for step in (hang(), slow("one two", gate))])
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(talk.ask(model=model)) for _ in range(50)]
        await server.request(50)
        await gate.reached()
        for task in running:
            task.cancel()
    await server.until(lambda: not server.connections and not server.at_once["m"])
    assert (await talk.ask(model=model)).reply.text == "ok"
