"""Whatever a crash, a cancel or a careless model leaves behind, a strict endpoint takes it."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clawd.agent.context import cut_before
from clawd.agent.history import INTERRUPTED, calls_made, mended, restored, sound, unanswered
from clawd.messages import ChatMessage, Function, ToolCall, assistant, tool_result, user
from clawd.testing.strict import violation


def a_call(call_id: str, arguments: str = "{}") -> ToolCall:
    """A call of some tool."""
    return ToolCall(call_id, Function("list_agents", arguments))


def calls_of(ids: list[str]) -> ChatMessage:
    """An answer that calls tools."""
    return assistant("", tuple(a_call(i) for i in ids))


ids = st.sampled_from(["c1", "c2", "c3", "c4"])
histories = st.lists(
    st.one_of(
        st.just(user("hello")),
        st.just(assistant("text")),
        st.lists(ids, min_size=1, max_size=3, unique=True).map(calls_of),
        ids.map(lambda i: tool_result(a_call(i), "result")),
    ),
    max_size=12,
)


def sent(messages: list[ChatMessage]) -> list[dict[str, Any]]:
    """The messages as they go over the wire."""
    return [msgspec.to_builtins(m) for m in [ChatMessage("system", "s"), *messages]]


@given(histories)
def test_a_mended_history_is_valid(messages: list[ChatMessage]) -> None:
    """Every call has exactly one result right behind it; nothing else is lost or moved."""
    valid = mended(messages)
    assert violation(sent(valid)) == ""
    assert mended(valid) == valid
    assert [m for m in valid if m.role != "tool"] == [m for m in messages if m.role != "tool"]


anything = st.lists(
    st.builds(
        ChatMessage,
        st.sampled_from(["system", "user", "assistant", "tool"]),
        st.sampled_from([None, "", "text"]),
        st.lists(
            st.builds(
                ToolCall,
                st.sampled_from(["", "c1", "c2"]),
                st.builds(
                    Function,
                    st.sampled_from(["", "list_agents"]),
                    st.sampled_from(["{}", "{", "[]", "", "null", '{"a": 1}']),
                ),
            ),
            max_size=3,
        ).map(tuple),
        st.sampled_from([None, "", "c1", "c2"]),
    ),
    max_size=8,
)


@given(anything)
def test_whatever_stands_in_a_file_a_strict_endpoint_takes_it(
    messages: list[ChatMessage],
) -> None:
    """R08: a transcript that somebody edited, or another program wrote, poisons no request."""
    read = [restored(message) for message in messages]
    assert violation(sent(mended(read))) == ""
    assert [restored(message) for message in read] == read


@given(histories)
def test_what_is_unanswered_becomes_interrupted(messages: list[ChatMessage]) -> None:
    """The results that a restart adds are just those that mending would show."""
    valid = mended(messages)
    open_calls = unanswered(messages)
    added = [tool_result(call, INTERRUPTED) for call in open_calls]
    if messages and open_calls and messages[-1].role in ("assistant", "tool"):
        assert valid[-len(added) :] == added


@given(histories, st.integers(1, 12))
def test_a_cut_parts_no_call_from_its_result(messages: list[ChatMessage], keep: int) -> None:
    """What stays behind a cut is as valid as the whole, and holds at least what is to be kept."""
    valid = mended(messages)
    index = cut_before(valid, keep)
    assert violation(sent(valid[index:])) == ""
    assert len(valid) - index >= min(keep, len(valid))


def test_arguments_that_are_no_object() -> None:
    """What a model wrote wrong goes back as an empty object, and what is right as it stands."""
    written = ['{"a": 1}', "[1]", '{"a": ', "", "nonsense", '"\\ud800"']
    kept = [c.function.arguments for c in sound([a_call(str(n), t) for n, t in enumerate(written)])]
    assert kept == ['{"a": 1}', "{}", "{}", "{}", "{}", "{}"]


def test_the_calls_that_were_made() -> None:
    """A result that is an error object did not succeed; a text that looks like one may have."""
    calls = tuple(a_call(str(n)) for n in range(4))
    texts = ['{"error":"x"}', '{"error": broken', "fine"]
    results = [tool_result(call, text) for call, text in zip(calls, texts, strict=False)]
    assert calls_made([assistant("", calls), *results]) == {
        "0": ("list_agents", False),
        "1": ("list_agents", True),
        "2": ("list_agents", True),
    }
