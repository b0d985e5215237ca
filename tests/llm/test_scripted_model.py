"""The scripted model is a server that any OpenAI client can talk to."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

from clawd.testing.model import ScriptedModel, call, calls, cut, fail, hang, raw_call, say, slow
from clawd.testing.steps import Gate, Step


def client_of(model: ScriptedModel) -> openai.AsyncOpenAI:
    """A client that fails at once."""
    return openai.AsyncOpenAI(base_url=model.url, api_key="sk-test", max_retries=0)


def user(text: str) -> Any:
    """A conversation of one line."""
    return [{"role": "user", "content": text}]


async def ask(client: openai.AsyncOpenAI, model: str, messages: Any = None) -> str:
    """The text of one answer."""
    answer = await client.chat.completions.create(model=model, messages=messages or user("hi"))
    return answer.choices[0].message.content or ""


async def test_answers_in_the_order_of_the_script_and_records_requests() -> None:
    """Steps are consumed one per request of that model name; then the model says ok."""
    async with ScriptedModel() as model, client_of(model) as client:
        model.script("a", [say("one"), say("two")])
        model.script("b", [say("other")])
        assert [await ask(client, name) for name in ("a", "b", "a", "a")] == [
            "one",
            "other",
            "two",
            "ok",
        ]
        assert [request.model for request in model.requests] == ["a", "b", "a", "a"]
        assert model.requests[0].key == "sk-test"
        assert model.requests[0].messages == user("hi")


async def test_streams_text_and_parallel_calls() -> None:
    """A stream brings words, fragments of arguments, a finish reason and the usage."""
    async with ScriptedModel() as model, client_of(model) as client:
        model.script(
            "a", [calls(call("ping", at=1), raw_call("pong", "{}", id="x"), text="I will")]
        )
        text, arguments, finish, total = "", ["", ""], None, 0
        stream = await client.chat.completions.create(
            model="a",
            messages=user("hi"),
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
                for fragment in choice.delta.tool_calls or ():
                    assert fragment.function is not None
                    arguments[fragment.index] += fragment.function.arguments or ""
            total = chunk.usage.total_tokens if chunk.usage else total
        assert (text, arguments, finish, total) == (
            "I will",
            ['{"at": 1}', "{}"],
            "tool_calls",
            110,
        )


async def test_rules_decide_by_the_request() -> None:
    """A rule sees the body and may answer at once or later."""

    async def later(body: dict[str, Any]) -> Step:
        return say("later")

    async with ScriptedModel() as model, client_of(model) as client:
        model.rule("a", lambda body: say(body["messages"][-1]["content"].upper()))
        model.rule("b", later)
        assert [await ask(client, "a", user("loud")), await ask(client, "b")] == ["LOUD", "later"]


async def test_a_rule_that_fails_is_seen_by_the_test() -> None:
    """An error in a rule ends the connection and is raised when the server is left."""
    model = await ScriptedModel().__aenter__()
    model.rule("a", lambda body: body["nothing"])
    async with client_of(model) as client:
        with pytest.raises(openai.APIConnectionError):
            await ask(client, "a")
    with pytest.raises(ExceptionGroup, match="scripted model"):
        await model.__aexit__(None, None, None)


async def test_holds_a_request_at_a_gate_and_counts_what_runs_at_once() -> None:
    """A held request waits until the gate opens, while others go on."""
    async with ScriptedModel() as model, client_of(model) as client:
        gate = model.hold("a")
        async with asyncio.TaskGroup() as group:
            held = group.create_task(ask(client, "a"))
            await gate.reached()
            assert await ask(client, "a") == "ok"
            assert not held.done()
            gate.open()
        assert held.result() == "ok"
        assert model.most_at_once["a"] == 2


async def test_waits_for_requests_without_sleeping() -> None:
    """``request`` and ``wait_for`` return past and coming requests."""
    async with ScriptedModel() as model, client_of(model) as client, asyncio.TaskGroup() as group:
        second = group.create_task(model.request(2))
        named = group.create_task(model.wait_for(lambda request: request.model == "b"))
        await ask(client, "a")
        assert not second.done()
        await ask(client, "b")
        assert (await second).model == (await named).model == "b"


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([*user("hi"), {"role": "tool", "tool_call_id": "x", "content": ""}], "without a call"),
        ([{"role": "narrator", "content": "x"}], "unknown role"),
        (
            [
                *user("hi"),
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "x",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                *user("and?"),
            ],
            "no result yet",
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "x", "content": "1"},
            ],
            "not JSON",
        ),
    ],
)
async def test_strictness_refuses_broken_histories(messages: Any, problem: str) -> None:
    """What a strict endpoint refuses is answered with 400 and recorded."""
    async with ScriptedModel() as model, client_of(model) as client:
        with pytest.raises(openai.BadRequestError, match=problem):
            await ask(client, "a", messages)
        assert problem in model.requests[0].refused


async def test_faults_reach_the_client() -> None:
    """A status, a hang-up and silence look to a client as they would from a real endpoint."""
    async with ScriptedModel() as model, client_of(model) as client:
        model.script("a", [fail(429, headers={"Retry-After": "7"}), cut("half an"), hang()])
        with pytest.raises(openai.RateLimitError) as caught:
            await ask(client, "a")
        assert caught.value.response.headers["retry-after"] == "7"
        with pytest.raises(openai.APIConnectionError):
            await ask(client, "a")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(ask(client, "a"))
            await model.request(3)
            waiting.cancel()
        await model.until(lambda: model.at_once["a"] == 0)


async def test_a_slow_answer_waits_in_the_middle() -> None:
    """The first word comes at once and the rest after the gate."""
    async with ScriptedModel() as model, client_of(model) as client:
        gate = Gate()
        model.script("a", [slow("first then rest", gate)])
        stream = await client.chat.completions.create(model="a", messages=user("hi"), stream=True)
        text = ""
        async for chunk in stream:
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            if text == "first ":
                await gate.reached()
                gate.open()
        assert text == "first then rest"


async def test_runs_as_a_process_with_a_script_file(tmp_path: Path) -> None:
    """``python -m clawd.testing.model`` says where it listens and plays the file."""
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"a": [{"say": "from a file"}, {"fail": 500}]}))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "clawd.testing.model",
        "--script",
        str(file),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        ready = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()
        async with openai.AsyncOpenAI(base_url=ready[1], api_key="x", max_retries=0) as client:
            assert await ask(client, "a") == "from a file"
            with pytest.raises(openai.InternalServerError):
                await ask(client, "a")
    finally:
        process.terminate()
        await process.wait()
