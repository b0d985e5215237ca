"""Heartbeats: final texts are mail to the operator, and come less often while nobody reads."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.tools.schedule.world import START, World

from clawd.comms.models import SessionMessage
from clawd.events import PromptQueued, SessionMessageChanged


async def beat(world: World, said: str) -> float:
    """Wait for the next run and end it; when it was."""
    await world.passes(world.next() - (world.clock - START))
    at = world.clock - START
    await world.ends(said)
    return at


def message(to: str, from_: str, *, read: bool) -> SessionMessage:
    """Mail between the session and the operator."""
    return SessionMessage(
        id="msg-1", from_=from_, to=to, content="x", timestamp="2026-11-20T12:00:00Z", read=read
    )


async def test_news_is_mail(world: World) -> None:
    """The final text is a message from the session, one for each run that has something new."""
    await world.create(every="1 hour", heartbeat=True)
    await beat(world, "The oven is hot")
    assert [text for text, _ in world.mail.values()] == ["The oven is hot"]
    assert "HEARTBEAT_OK" in next(iter(world.turns.values())).text


@pytest.mark.parametrize("said", ["", "  \n", "HEARTBEAT_OK", " HEARTBEAT_OK\n"])
async def test_nothing_new_is_no_mail(world: World, said: str) -> None:
    """And a heartbeat with nothing to say keeps its pace."""
    await world.create(every="1 hour", heartbeat=True)
    for _ in range(3):
        await beat(world, said)
    assert world.mail == {}
    assert world.begun() == ["3600", "7200", "10800"]


async def test_the_same_again_is_nothing_new(world: World) -> None:
    """The operator reads it once."""
    await world.create(every="1 hour", heartbeat=True)
    await beat(world, "Still hot")
    await beat(world, "Still hot")
    assert len(world.mail) == 1


async def test_unread_it_comes_less_and_less_often(world: World) -> None:
    """The pace halves with each run, down to once a day."""
    await world.create(every="1 hour", heartbeat=True)
    times = [await beat(world, f"news {n}") / 3600 for n in range(9)]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == [1, 2, 4, 8, 16, 24, 24, 24]


@pytest.mark.parametrize("how", ["reads", "writes", "says"])
async def test_once_heard_from_it_goes_back_to_its_own_pace(world: World, how: str) -> None:
    """The operator has read a message of it, written one to it, or typed a line."""
    await world.create(every="1 hour", heartbeat=True)
    for number in range(5):
        await beat(world, f"news {number}")
    assert world.next() - (world.clock - START) == 16 * 3600
    event = {
        "reads": SessionMessageChanged(
            session="operator", message=message("operator", "s", read=True)
        ),
        "writes": SessionMessageChanged(session="s", message=message("s", "operator", read=False)),
        "says": PromptQueued(session="s", run_id="turn-1", text="Hello", ahead=0),
    }[how]
    world.stream.publish(event)
    await world.passes(0)
    assert world.next() - (world.clock - START) == 3600


async def test_another_sessions_mail_changes_nothing(world: World) -> None:
    """Nor does mail of the session that is still unread."""
    await world.create(every="1 hour", heartbeat=True)
    for number in range(4):
        await beat(world, f"news {number}")
    before = world.next()
    for mail in (message("operator", "t", read=True), message("operator", "s", read=False)):
        world.stream.publish(SessionMessageChanged(session="operator", message=mail))
    await world.passes(0)
    assert world.next() == before


async def test_a_daily_heartbeat_stays_daily(world: World) -> None:
    """A pace that is slow already is not made slower."""
    await world.create(cron="0 8 * * *", zone="UTC", heartbeat=True)
    times = [await beat(world, f"news {n}") / 3600 for n in range(4)]
    assert [b - a for a, b in pairwise(times)] == [24, 24, 24]


async def test_a_kill_between_mail_and_record_sends_it_once(world: World) -> None:
    """The message is one of its turn: it is found again after a start."""
    await world.create(every="1 hour", heartbeat=True)
    await world.passes(3600)
    (turn,) = world.waiting()
    turn.status, turn.said = "finished", "news"
    await world.tell("s", turn.id, turn.lineage, "news")
    await world.start()
    assert len(world.mail) == 1
    assert world.only().message == turn.id


async def test_a_failed_heartbeat_is_no_mail(world: World) -> None:
    """There is nothing that it said."""
    await world.create(every="1 hour", heartbeat=True)
    await world.passes(3600)
    await world.ends(error={"error": "guard_autonomous_turns_per_hour", "message": "120 turns"})
    assert world.mail == {}
    assert world.last().error == "120 turns"
