"""Who waits for whom: no two sessions can wait for each other, however they interleave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.comms.models import SessionMessage
from clawd.comms.waits import Waits
from clawd.errors import Refused

NAMES = "abcde"


async def test_two_that_ask_at_the_same_moment() -> None:
    """The second is refused even while the first's question is still on its way to the disk."""
    waits = Waits()
    waits.open("a", "b", "msg-1", "your colour?")
    with pytest.raises(Refused) as refused:
        waits.open("b", "a", "msg-2", "and yours?")
    assert refused.value.facts["circle"] == "b -> a -> b"
    assert refused.value.facts["openQuestion"] == {
        "id": "msg-1",
        "from": "a",
        "content": "your colour?",
    }
    assert waits.shown("a", "b") == "msg-1"
    assert waits.get("msg-2") is None


async def test_an_answered_wait_closes_no_circle() -> None:
    """Once the answer is there, its target may ask back at once."""
    waits = Waits()
    wait = waits.open("a", "b", "msg-1", "?")
    assert wait.end(_message("msg-3"))
    waits.open("b", "a", "msg-2", "?")
    assert waits.free("msg-1") is None
    assert waits.of_target("b") == []


async def test_one_answer_alone_takes_the_place() -> None:
    """While one answer is being written no other claims the wait; a failed one gives it back."""
    waits = Waits()
    wait = waits.open("a", "b", "msg-1", "?")
    wait.claimed = True
    assert waits.free("msg-1") is None
    assert waits.get("msg-1") is wait
    wait.claimed = False
    assert waits.free("msg-1") is wait
    waits.close(wait)
    assert waits.get("msg-1") is None


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans())))
async def test_the_graph_never_has_a_circle(steps: list[tuple[str, str, bool]]) -> None:
    """Whatever is asked and answered in whatever order, the open waits form no circle."""
    waits = Waits()
    open_ones: dict[str, tuple[str, str]] = {}
    for number, (waiter, target, answered) in enumerate(steps):
        if waiter == target:
            continue
        name = f"msg-{number}"
        if _reaches(open_ones, target, waiter):
            with pytest.raises(Refused):
                waits.open(waiter, target, name, "?")
            continue
        wait = waits.open(waiter, target, name, "?")
        if answered:
            waits.close(wait)
        else:
            open_ones[name] = (waiter, target)


def _reaches(edges: dict[str, tuple[str, str]], start: str, end: str) -> bool:
    found, before = {start}, set[str]()
    while found != before:
        before = set(found)
        found |= {target for waiter, target in edges.values() if waiter in found}
    return end in found


def _message(message_id: str) -> SessionMessage:
    return SessionMessage(
        id=message_id, from_="b", to="a", content="x", timestamp="2026-01-01T00:00:00Z", read=False
    )
