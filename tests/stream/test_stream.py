"""The one stream: numbered, seen by everyone, slowed down by nobody."""

from __future__ import annotations

import asyncio
import json

from clawd.events import Event, Missed, Notice, TextMessageContent
from clawd.stream import EventStream, Published, Viewer


def notice(text: str, session: str = "") -> Notice:
    """An event that says something."""
    return Notice(code="test", text=text, session=session)


def texts(published: list[Published]) -> list[str]:
    """What notices say; a gap as its number."""
    return [
        e.text if isinstance(e, Notice) else f"missed {e.count}"
        for e in (p.event for p in published)
        if isinstance(e, Notice | Missed)
    ]


async def seen(viewer: Viewer) -> list[Published]:
    """Everything up to the end of the stream."""
    async with asyncio.timeout(5):
        return [published async for published in viewer]


async def test_numbers_have_no_gaps_and_every_viewer_sees_the_same() -> None:
    """Events are numbered from 1 in the order of publishing, the same for every viewer."""
    stream = EventStream()
    with stream.view() as one, stream.view() as two:
        assert [stream.publish(notice(text)) for text in "abc"] == [1, 2, 3]
        stream.close()
        first, second = await seen(one), await seen(two)
    assert [(p.seq, p.event) for p in first] == [(p.seq, p.event) for p in second]
    assert texts(first) == ["a", "b", "c"]


async def test_a_viewer_sees_only_what_it_wants() -> None:
    """A filter decides by the event alone."""
    stream = EventStream()

    def wanted(event: Event) -> bool:
        return event.session == "a"

    with stream.view(wanted) as viewer:
        for session in "aba":
            stream.publish(notice(session, session))
        stream.close()
        assert texts(await seen(viewer)) == ["a", "a"]


async def test_an_observer_comes_before_any_viewer() -> None:
    """What must see an event first has seen it when ``publish`` returns."""
    stream = EventStream()
    observed: list[int] = []
    stream.observe(lambda published: observed.append(published.seq))
    number = stream.publish(notice("a"))
    assert observed == [number]


async def test_what_came_since_a_number_is_replayed_and_then_it_goes_on() -> None:
    """A viewer that comes back with its last number misses nothing and has nothing twice."""
    stream = EventStream()
    for text in "abc":
        stream.publish(notice(text))
    with stream.view(after=1) as viewer:
        stream.publish(notice("d"))
        stream.close()
        assert texts(await seen(viewer)) == ["b", "c", "d"]


async def test_the_whole_of_what_is_at_hand_can_be_replayed() -> None:
    """Replay is bounded by what is kept, not by how far a viewer may fall behind."""
    stream = EventStream(keep=50)
    for number in range(50):
        stream.publish(notice(str(number)))
    with stream.view(after=0, limit=5) as viewer:
        stream.publish(notice("more"))
        stream.close()
        assert len(await seen(viewer)) == 51


async def test_one_that_asks_for_what_is_gone_is_told_how_many_it_missed() -> None:
    """Events that are no longer at hand are counted, and the count comes first."""
    stream = EventStream(keep=2)
    for text in "abcde":
        stream.publish(notice(text))
    with stream.view(after=1) as viewer:
        stream.close()
        assert texts(await seen(viewer)) == ["missed 2", "d", "e"]


async def test_what_is_kept_is_bounded_in_bytes() -> None:
    """A flood of large events keeps no more at hand than small ones; what is gone is counted."""
    stream = EventStream(keep_bytes=10_000)
    for _ in range(20):
        stream.publish(notice("x" * 1_000))
    for _ in range(20):
        stream.publish(
            TextMessageContent(
                session="a", run_id="t", message_id="m", content="y" * 1_000, delta=True
            )
        )
    with stream.view(after=0) as viewer:
        stream.close()
        told, *kept = await seen(viewer)
    assert isinstance(told.event, Missed)
    assert told.event.count + len(kept) == 40
    assert 5 <= len(kept) <= 9
    stream = EventStream(keep_bytes=10_000)
    stream.publish(notice("x" * 20_000))
    with stream.view(after=0) as viewer:
        stream.close()
        assert texts(await seen(viewer)) == ["missed 1"]


async def test_a_slow_viewer_loses_the_oldest_and_knows_it() -> None:
    """Nobody waits for a viewer: its queue is bounded, and the gap is an event in its place."""
    stream = EventStream()
    with stream.view(limit=3) as slow, stream.view() as quick:
        for text in "abcde":
            stream.publish(notice(text))
        stream.close()
        late = await seen(slow)
        assert texts(late) == ["missed 2", "c", "d", "e"]
        assert [p.seq for p in late] == [2, 3, 4, 5]
        assert texts(await seen(quick)) == list("abcde")


async def test_take_gives_what_has_arrived_without_waiting() -> None:
    """The rest of a burst can be taken at once, in order, but never past a gap."""
    stream = EventStream()
    with stream.view(limit=2) as viewer:
        stream.publish(notice("a"))
        stream.publish(notice("b"))
        assert texts(viewer.take()) == ["a", "b"]
        assert viewer.take() == []
        for text in "cde":
            stream.publish(notice(text))
        assert viewer.take() == []
        first = await viewer.next()
        assert first is not None
        assert texts([first, *viewer.take()]) == ["missed 1", "d", "e"]


async def test_closing_ends_viewers_and_later_ones_too() -> None:
    """A reader that waits is woken by the end; one that comes later ends at once."""
    stream = EventStream()
    with stream.view() as viewer:
        async with asyncio.timeout(5):
            waiting = asyncio.ensure_future(viewer.next())
            stream.close()
            assert await waiting is None
    with stream.view(after=0) as late:
        assert await seen(late) == []


async def test_a_viewer_that_left_is_forgotten() -> None:
    """Nothing is kept for a viewer that has gone."""
    stream = EventStream()
    with stream.view() as viewer:
        pass
    stream.publish(notice("a"))
    assert viewer.take() == []


async def test_an_event_is_one_json_object_with_its_number_and_time() -> None:
    """What goes over the wire: ``seq``, ``time``, ``event`` and the event's own fields."""
    stream = EventStream()
    with stream.view() as viewer:
        stream.publish(notice("ä \u2028", session="s"))
        published = await viewer.next()
    assert published is not None
    body = json.loads(published.encoded())
    assert body.pop("time").endswith("Z")
    assert body == {"seq": 1, "event": "notice", "session": "s", "code": "test", "text": "ä \u2028"}


async def test_two_streams_tell_their_numbers_apart() -> None:
    """A number from before a restart is not taken for one of this stream."""
    assert EventStream().epoch != EventStream().epoch
