"""What every bus keeps: one suite, run over each adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from clawd.bus.memory import MemoryBus
from clawd.bus.port import Envelope, Kind, MessageBus
from clawd.lineage import Lineage

ADAPTERS: dict[str, Callable[[], MessageBus]] = {"memory": MemoryBus}


@pytest.fixture(params=ADAPTERS)
def bus(request: pytest.FixtureRequest) -> MessageBus:
    """A bus of each kind."""
    return ADAPTERS[request.param]()


def envelope(
    id: str, kind: Kind = "message", *, to: str = "b", trace: str = "t", priority: int = 5
) -> Envelope:
    """A request that refers to nothing."""
    return Envelope(id, kind, to, Lineage(trace), priority)


async def arrived(bus: MessageBus, count: int, address: str = "b") -> list[str]:
    """The ids of the next envelopes, taken out."""
    inbox = bus.register(address)
    async with asyncio.timeout(5):
        return [(await inbox.next()).id for _ in range(count)]


async def test_what_is_published_arrives_at_its_address_alone(bus: MessageBus) -> None:
    """An envelope reaches the inbox that it is addressed to, and no other."""
    bus.register("b")
    other = bus.register("c")
    assert bus.publish(envelope("1"))
    assert await arrived(bus, 1) == ["1"]
    assert other.waiting() == []


async def test_nobody_there_is_told_at_once(bus: MessageBus) -> None:
    """An address that nobody registered is not accepted, and nothing waits for it later."""
    assert not bus.publish(envelope("1"))
    assert bus.register("b").waiting() == []


async def test_registering_twice_gives_the_same_inbox(bus: MessageBus) -> None:
    """A session that starts again finds what waited."""
    bus.register("b")
    bus.publish(envelope("1"))
    assert [e.id for e in bus.register("b").waiting()] == ["1"]


async def test_after_unregistering_nothing_is_accepted(bus: MessageBus) -> None:
    """A session that is gone gets nothing, and a later one of its name begins empty."""
    bus.register("b")
    bus.publish(envelope("1"))
    bus.unregister("b")
    assert not bus.publish(envelope("2"))
    assert bus.register("b").waiting() == []
    bus.unregister("never there")


async def test_order_is_the_operators_then_priority_then_acceptance(bus: MessageBus) -> None:
    """K06: turns of the transcript first, then 9 before 1, equals as they came."""
    bus.register("b")
    for each in (
        envelope("low", priority=1),
        envelope("first"),
        envelope("high", "task", priority=9),
        envelope("second"),
        envelope("line", "turn", priority=0),
    ):
        bus.publish(each)
    expected = ["line", "high", "first", "second", "low"]
    assert [e.id for e in bus.register("b").waiting()] == expected
    assert await arrived(bus, 5) == expected


async def test_an_id_waits_once(bus: MessageBus) -> None:
    """Publishing what waits already changes nothing; once taken it may come again."""
    bus.register("b")
    bus.publish(envelope("1"))
    bus.publish(envelope("1", priority=9))
    assert await arrived(bus, 1) == ["1"]
    assert bus.register("b").waiting() == []
    bus.publish(envelope("1"))
    assert await arrived(bus, 1) == ["1"]


async def test_a_reader_that_waits_is_woken(bus: MessageBus) -> None:
    """``next`` returns when something arrives, without polling."""
    inbox = bus.register("b")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        reader = group.create_task(inbox.next())
        group.create_task(_publish(bus, "1"))
    assert reader.result().id == "1"


async def test_a_reader_that_was_cancelled_loses_nothing(bus: MessageBus) -> None:
    """What arrives after a reader gave up is there for the next one."""
    inbox = bus.register("b")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await inbox.next()
    bus.publish(envelope("1"))
    assert await arrived(bus, 1) == ["1"]


async def test_take_all_takes_one_kind_of_one_trace(bus: MessageBus) -> None:
    """Waiting messages of one trace are taken together, in order; the rest stays."""
    inbox = bus.register("b")
    for each in (
        envelope("1", trace="x"),
        envelope("2", trace="y"),
        envelope("3", "task", trace="x"),
        envelope("4", trace="x", priority=9),
    ):
        bus.publish(each)
    assert [e.id for e in inbox.take_all("message", "x")] == ["4", "1"]
    assert {e.id for e in inbox.waiting()} == {"2", "3"}


async def test_withdrawing_takes_out_what_has_not_started(bus: MessageBus) -> None:
    """A request can be taken back while it waits; the order of the others stays."""
    inbox = bus.register("b")
    for id in "123":
        bus.publish(envelope(id))
    assert bus.withdraw("b", "2")
    assert not bus.withdraw("b", "2")
    assert not bus.withdraw("nobody", "1")
    assert inbox.withdraw("1")
    assert await arrived(bus, 1) == ["3"]


async def _publish(bus: MessageBus, id: str) -> None:
    bus.publish(envelope(id))
