"""The agent loop: whatever a model or a tool does, a turn ends once and its transcript is valid."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from clawd import events
from clawd.agent.history import mended
from clawd.agent.loop import Failed, Finished, Parked, run_turn
from clawd.agent.repetition import Repetition
from clawd.agent.tool import Answer, bind, tool
from clawd.agent.toolset import Toolset
from clawd.agent.turn import Turn
from clawd.errors import ContextOverflow, GuardRefused, ProviderError, StorageError
from clawd.llm.port import ChatRequest, Item, Reply, Restarted, TextDelta
from clawd.messages import ChatMessage, Function, ToolCall, Usage
from clawd.testing.turn import KeptInMemory, Said, SaidModel


class Box:
    """Tools that do what a test needs."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.both = asyncio.Barrier(2)

    @tool()
    async def echo(self, text: str) -> Answer:
        """Say it again.

        Args:
            text: What to say.
        """
        return Answer(text)

    @tool()
    async def flood(self, character: str, megabytes: int) -> Answer:
        """Say very much.

        Args:
            character: What to say.
            megabytes: How often, in 2**20.
        """
        return Answer(character * (megabytes << 20))

    @tool()
    async def explode(self) -> Answer:
        """Fail as a bug does."""
        raise KeyError("bug")

    @tool()
    async def refuse(self) -> Answer:
        """Fail as a full disk does."""
        raise StorageError("disk_full", "no space", hint="make some")

    @tool(seconds=0.01)
    async def stall(self) -> Answer:
        """Take longer than it may."""
        await asyncio.get_running_loop().create_future()
        return Answer("never")

    @tool()
    async def hang(self) -> Answer:
        """Wait until the turn is cancelled."""
        self.running.set()
        await asyncio.get_running_loop().create_future()
        return Answer("never")

    @tool()
    async def meet(self) -> Answer:
        """End only when another call of it runs at the same time."""
        await self.both.wait()
        return Answer("met")


class Run:
    """One turn with everything that it needs, and what came of it."""

    def __init__(
        self,
        *script: Said,
        max_calls: int = 20,
        repetition: Repetition | None = None,
        permitted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.model = SaidModel(*script)
        self.kept = KeptInMemory()
        self.box = Box()
        self.events: list[events.Event] = []
        self.turn = Turn(
            "turn-1", "s", "t", self.events.append, max_calls, repetition or Repetition()
        )
        self._tools = Toolset(bind(self.box), permitted)

    async def end(self) -> Finished | Failed:
        """Run the turn; afterwards every call has one result, and its caller has the outcome."""
        async with asyncio.timeout(5):
            outcome = await run_turn(self.turn, self.model, self.kept, self._tools)
        self.check()
        assert not isinstance(outcome, Parked)
        return outcome

    def check(self) -> None:
        assert not [e for e in self.events if isinstance(e, events.RunFinished | events.RunFailed)]
        assert mended(self.kept.messages) == self.kept.messages
        started = [e.tool_call_id for e in self.of(events.ToolCallStart)]
        ended = [e.tool_call_id for e in self.of(events.ToolCallEnd)]
        failed = [e.tool_call_id for e in self.of(events.ToolCallError)]
        assert sorted(started) == sorted(ended + failed) == sorted(self.kept.results())

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def calling(*calls: tuple[str, str, str], text: str = "") -> Reply:
    """An answer that calls tools: (id, name, arguments)."""
    made = tuple(ToolCall(id, Function(name, arguments)) for id, name, arguments in calls)
    return Reply(text, made, "tool_calls", Usage(10, 1))


async def test_the_models_last_word_ends_the_turn() -> None:
    """Text is streamed as it comes, told whole at its end, and kept once."""
    run = Run([TextDelta("Hel"), TextDelta("lo"), Reply("Hello", usage=Usage(5, 2))])
    assert await run.end() == Finished("Hello")
    assert [e.content for e in run.of(events.TextMessageContent)] == ["Hel", "lo"]
    (end,) = run.of(events.TextMessageEnd)
    assert (end.full_content, end.partial) == ("Hello", False)
    assert [m.content for m in run.kept.messages] == ["go", "Hello"]
    assert run.turn.usage == Usage(5, 2)


async def test_tools_are_answered_until_there_is_nothing_more_to_call() -> None:
    """Results go back in the order of the calls; what each call cost is summed."""
    run = Run(
        calling(("1", "echo", '{"text": "a"}'), ("2", "echo", '{"text": "b"}'), text="Wait"),
        Reply("done", usage=Usage(20, 3)),
    )
    assert await run.end() == Finished("done")
    assert [m.role for m in run.kept.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert list(run.kept.results().items()) == [("1", "a"), ("2", "b")]
    assert run.turn.usage == Usage(30, 4)
    assert run.turn.done == {"1": ("echo", True), "2": ("echo", True)}


@pytest.mark.parametrize("character", ["x", "\x01", "\N{PILE OF POO}"])
async def test_a_result_of_many_mb_is_cut(character: str) -> None:
    """R08: whatever a tool answers, one line of the transcript holds it, and the model is told."""
    arguments = json.dumps({"character": character, "megabytes": 10})
    run = Run(calling(("1", "flood", arguments)), Reply("that was a lot"))
    assert await run.end() == Finished("that was a lot")
    result = run.kept.results()["1"]
    assert 1_000_000 < len(json.dumps(result, ensure_ascii=False).encode()) < 1_050_000
    assert result.endswith(f" of its {10 << 20} characters]")
    (end,) = run.of(events.ToolCallEnd)
    assert end.result == result


async def test_independent_calls_run_side_by_side() -> None:
    """Two calls of one answer are running at the same time."""
    run = Run(calling(("1", "meet", ""), ("2", "meet", "{}")), Reply("done"))
    assert await run.end() == Finished("done")
    assert set(run.kept.results().values()) == {"met"}


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("explode", "{}", "tool_failed"),
        ("refuse", "{}", "disk_full"),
        ("stall", "{}", "tool_timeout"),
        ("missing", "{}", "unknown_tool"),
        ("echo", "{}", "invalid_arguments"),
        ("echo", '{"text": ', "malformed_arguments"),
        ("echo", "[]", "malformed_arguments"),
    ],
)
async def test_a_tool_that_fails_is_an_error_result(name: str, arguments: str, code: str) -> None:
    """M33: the model reads an error object, the others' results stand, and the turn goes on."""
    run = Run(calling(("1", name, arguments), ("2", "echo", '{"text": "fine"}')), Reply("I see"))
    assert await run.end() == Finished("I see")
    results = run.kept.results()
    assert json.loads(results["1"])["error"] == code
    assert results["2"] == "fine"
    (error,) = run.of(events.ToolCallError)
    assert (error.tool_call_id, error.error["error"]) == ("1", code)
    assert run.turn.done["1"] == (name, False)


async def test_a_denied_tool_is_refused_when_it_is_called() -> None:
    """M32: it is not on offer, and naming it all the same does not run it."""
    run = Run(
        calling(("1", "explode", "{}")), Reply("ok"), permitted=lambda name: name != "explode"
    )
    await run.end()
    offered = [
        json.loads(msgspec.json.encode(t))["function"]["name"] for t in run.model.requests[0].tools
    ]
    assert "explode" not in offered
    assert "echo" in offered
    assert json.loads(run.kept.results()["1"])["error"] == "tool_denied"


async def test_a_cancel_keeps_what_was_said_and_ends_every_call() -> None:
    """M34: a call that was cut off has its result, and the cancel goes on up."""
    run = Run(calling(("1", "hang", "{}"), ("2", "echo", '{"text": "fine"}')))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run.end())
        await run.box.running.wait()
        task.cancel()
    assert task.cancelled()
    run.check()
    assert json.loads(run.kept.results()["1"])["error"] == "cancelled"
    assert run.kept.results()["2"] == "fine"


async def test_a_cancel_in_mid_sentence_keeps_the_part_that_came() -> None:
    """What a human stopped stays said, marked as partial, and is in no request again."""
    silence = asyncio.Event()

    class Slow(SaidModel):
        async def stream(self, request: ChatRequest) -> AsyncIterator[Item]:
            yield TextDelta("Half a ")
            silence.set()
            await asyncio.get_running_loop().create_future()

    run = Run()
    run.model = Slow()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run.end())
        await silence.wait()
        task.cancel()
    run.check()
    (end,) = run.of(events.TextMessageEnd)
    assert (end.full_content, end.partial) == ("Half a ", True)
    assert [m.content for m in run.kept.partial] == ["Half a "]
    assert [m.role for m in run.kept.messages] == ["user"]


async def test_a_fault_in_mid_sentence_is_no_answer() -> None:
    """R06: the half text is told as partial and never kept as if it were whole."""
    run = Run([TextDelta("Half a "), ProviderError("cut", "the stream broke", retryable=True)])
    outcome = await run.end()
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "cut"
    (end,) = run.of(events.TextMessageEnd)
    assert end.partial is True
    assert [m.role for m in run.kept.messages] == ["user"]
    assert not run.kept.partial


async def test_an_answer_that_begins_anew_is_two_messages_and_one_answer() -> None:
    """R06: the first is told as partial, the second whole; only the second is kept."""
    run = Run(
        [
            TextDelta("Half a "),
            Restarted(),
            TextDelta("All of "),
            TextDelta("it"),
            Reply("All of it"),
        ]
    )
    assert await run.end() == Finished("All of it")
    run.check()
    cut, whole = run.of(events.TextMessageEnd)
    assert (cut.full_content, cut.partial) == ("Half a ", True)
    assert (whole.full_content, whole.partial) == ("All of it", False)
    assert cut.message_id != whole.message_id
    said = {cut.message_id: "", whole.message_id: ""}
    for delta in run.of(events.TextMessageContent):
        said[delta.message_id] += delta.content
    assert list(said.values()) == ["Half a ", "All of it"]
    assert [m.content for m in run.kept.messages if m.role == "assistant"] == ["All of it"]
    assert not run.kept.partial
    (told,) = run.of(events.Notice)
    assert told.code == "answer_restarted"


async def test_a_stream_without_a_reply_is_a_failure() -> None:
    """A model that only trickles has not answered."""
    outcome = await Run([TextDelta("so ")]).end()
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "provider_garbage"


async def test_too_long_is_made_shorter_once() -> None:
    """An overflow shrinks the history and asks again; a second one is the turn's failure."""
    run = Run(ContextOverflow("context", "too long"), Reply("fits"))
    assert await run.end() == Finished("fits")
    assert run.kept.shrinks == 1
    run = Run(ContextOverflow("context", "too long"), ContextOverflow("context", "too long"))
    assert isinstance(await run.end(), Failed)
    run = Run(ContextOverflow("context", "too long"))
    run.kept.can_shrink = False
    assert isinstance(await run.end(), Failed)


async def test_an_empty_answer_is_asked_for_once_more() -> None:
    """A second silence is an answer: an empty one."""
    run = Run(Reply("", usage=Usage(1, 0)), Reply("better", usage=Usage(2, 1)))
    assert await run.end() == Finished("better")
    assert run.turn.usage == Usage(3, 1)
    assert await Run(Reply(""), Reply("")).end() == Finished("")


async def test_an_answer_at_the_output_limit_is_kept_and_told() -> None:
    """The text stands; the operator is told that it was cut."""
    run = Run(Reply("as far as", finish="length"))
    assert await run.end() == Finished("as far as")
    assert [e.code for e in run.of(events.Notice)] == ["answer_cut"]


async def test_what_the_filter_stopped_is_a_failure() -> None:
    """A filtered answer is no final text, and its cost is counted all the same."""
    run = Run(Reply("", finish="content_filter", usage=Usage(7, 0)))
    outcome = await run.end()
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "content_filter"
    assert run.turn.usage == Usage(7, 0)


async def test_a_steering_line_is_heard_before_the_next_model_call() -> None:
    """What the human adds while tools run is in the next request."""
    run = Run(calling(("1", "echo", '{"text": "a"}')), Reply("I hear"))
    first = run.kept.keep

    async def keep(*messages: ChatMessage, partial: bool = False) -> None:
        if messages[0].role == "assistant" and messages[0].tool_calls:
            run.kept.lines.append("and be quick")
        await first(*messages, partial=partial)

    run.kept.keep = keep  # type: ignore[method-assign]
    await run.end()
    assert [m.role for m in run.model.requests[1].messages][-2:] == ["tool", "user"]
    assert run.model.requests[1].messages[-1].content == "and be quick"


async def test_model_calls_are_bounded() -> None:
    """Past ``maxModelCallsPerTurn`` the turn fails with an error that names the limit."""
    script = [calling((str(n), "echo", f'{{"text": "{n}"}}')) for n in range(3)]
    run = Run(*script, max_calls=3)
    outcome = await run.end()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, GuardRefused)
    error = outcome.error.as_json()
    assert (error["error"], error["limit"], error["retryable"]) == (
        "guard_model_calls_per_turn",
        3,
        False,
    )
    assert len(run.model.requests) == 3


async def test_the_same_call_again_and_again_is_warned_of_and_stopped() -> None:
    """The model reads a warning first; at the limit the turn ends with every call answered."""
    script = [calling((str(n), "echo", '{"text": "a"}')) for n in range(9)]
    run = Run(*script, repetition=Repetition(warn=2, stop=4))
    outcome = await run.end()
    assert isinstance(outcome, Failed)
    assert outcome.error.as_json()["error"] == "guard_repeated_call"
    results = list(run.kept.results().values())
    assert [("[clawd: call" in text) for text in results] == [False, True, True, False]
    assert len(run.model.requests) == 4
    # Only the stop is a refusal: a trace counts those, and takes a warning for none.
    told = [e.code for e in run.of(events.Notice)]
    assert set(told[:-1]) == {"repeated_call"}
    assert told[-1] == "guard_repeated_call"


async def test_failing_calls_in_a_row_stop_the_turn() -> None:
    """One that succeeds begins the count anew."""
    fails = [calling((f"f{n}", "explode", f'{{"n": {n}}}')) for n in range(4)]
    works = calling(("w", "echo", '{"text": "a"}'))
    run = Run(*fails[:2], works, *fails[2:], Reply("done"), repetition=Repetition(failed=3))
    assert await run.end() == Finished("done")
    run = Run(*fails, repetition=Repetition(failed=3))
    outcome = await run.end()
    assert isinstance(outcome, Failed)
    assert outcome.error.as_json()["error"] == "guard_failed_calls_in_a_row"
    assert len(run.model.requests) == 3
