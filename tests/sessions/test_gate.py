"""The gate: never more turns at once than there are places, and no place is ever lost."""

from __future__ import annotations

import asyncio

import pytest

from clawd.sessions.gate import Gate


class Turns:
    """Turns that hold a place until they are told to end."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.inside: list[str] = []
        self.most = 0

    async def run(self, name: str, end: asyncio.Event) -> None:
        """Hold a place from here to the end."""
        async with self.gate.slot():
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await end.wait()
            finally:
                self.inside.remove(name)


async def settle() -> None:
    """Let everything that can go on, go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_places_go_round_in_order() -> None:
    """Two places for four turns: never three at once, and the longest waiting is next."""
    turns = Turns(Gate(lambda: 2))
    ends = [asyncio.Event() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for number, end in enumerate(ends):
            group.create_task(turns.run(str(number), end))
        await settle()
        assert turns.inside == ["0", "1"]
        ends[1].set()
        await settle()
        assert turns.inside == ["0", "2"]
        for end in ends:
            end.set()
    assert turns.most == 2


async def test_a_cancelled_wait_gives_its_place_on() -> None:
    """A turn that is cancelled while it waits, or just as it is let in, costs no place."""
    turns = Turns(Gate(lambda: 1))
    first, other = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(turns.run("first", first))
        waiting = [group.create_task(turns.run(str(n), other)) for n in range(2)]
        last = group.create_task(turns.run("last", first))
        await settle()
        waiting[0].cancel()
        await settle()
        first.set()
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.wait_for(last, 1)


async def test_a_lent_place_serves_another() -> None:
    """A turn that waits for somebody lends its place, and goes on when it has one again."""
    gate = Gate(lambda: 1)
    turns = Turns(gate)
    end, answered, back = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def asks() -> None:
        async with gate.slot() as slot:
            async with slot.lent():
                await answered.wait()
            back.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(asks())
        group.create_task(turns.run("answers", end))
        await settle()
        assert turns.inside == ["answers"]
        answered.set()
        await settle()
        assert not back.is_set()
        end.set()
        await asyncio.wait_for(back.wait(), 1)


async def test_a_cancelled_lender_needs_no_place_to_end() -> None:
    """A cancel ends a turn at once, though all the places are taken meanwhile."""
    gate = Gate(lambda: 1)
    turns = Turns(gate)
    end = asyncio.Event()

    async def asks() -> None:
        async with gate.slot() as slot, slot.lent():
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        lender = group.create_task(asks())
        group.create_task(turns.run("holds", end))
        await settle()
        lender.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(lender, 1)
        end.set()
    async with asyncio.timeout(1), gate.slot():
        pass


async def test_a_gate_that_grows_or_shrinks() -> None:
    """A new size holds for whoever comes or goes next."""
    size = 1
    turns = Turns(Gate(lambda: size))
    ends = [asyncio.Event() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for number, end in enumerate(ends):
            group.create_task(turns.run(str(number), end))
        await settle()
        size = 3
        ends[0].set()
        await settle()
        assert turns.inside == ["1", "2", "3"]
        for end in ends:
            end.set()
