"""The mailbox against a dictionary: any course of sends, marks, restarts and compactions."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clawd.comms.mailbox import Mailbox
from clawd.comms.models import SessionMessage
from clawd.storage.writer import Writer
from clawd.testing.homes import lines_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
marks = st.sampled_from(
    [
        {"state": "delivered"},
        {"state": "read", "read": True},
        {"state": "answered", "read": True},
        {"state": "dead", "reason": "why"},
        {"state": "held"},
        {"state": "expired"},
        {"state": "stored", "attempts": 3},
    ]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.tuples(texts, st.integers(0, 10))),
        st.tuples(st.just("mark"), st.tuples(st.lists(st.integers(0, 8), max_size=3), marks)),
        st.tuples(st.just("side by side"), st.lists(texts, max_size=4)),
        st.tuples(st.just("drop"), st.sets(st.integers(0, 8), max_size=3)),
        st.tuples(st.just("restart"), st.just(None)),
    ),
    max_size=15,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_mailbox_equals_a_dictionary(course: list[tuple[str, Any]]) -> None:
    """Records, order, unread count and file are those of a plain dictionary, at every point."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(Path(folder) / "box.jsonl", course))


async def _run(path: Path, course: list[tuple[str, Any]]) -> None:
    writer = Writer()
    writer.start()
    box = Mailbox("b", path, writer)
    model: dict[str, SessionMessage] = {}
    count = 0
    try:
        for kind, what in course:
            match kind:
                case "add":
                    count += 1
                    await box.add(_put(model, count, *what))
                case "mark":
                    numbers, fields = what
                    known = list(dict.fromkeys(i for n in numbers if (i := _id(n)) in model))
                    model |= {i: msgspec.structs.replace(model[i], **fields) for i in known}
                    if known:
                        await box.change(*((i, fields) for i in known))
                case "side by side":
                    async with asyncio.TaskGroup() as group:
                        for text in what:
                            count += 1
                            group.create_task(box.add(_put(model, count, text, 5)))
                case "drop":
                    gone = {_id(n) for n in what}
                    model = {i: m for i, m in model.items() if i not in gone}
                    await box.compact(lambda m, gone=gone: m.id not in gone)  # type: ignore[misc]
                case "restart":
                    box = Mailbox("b", path, writer)
                    assert box.load().problems == []
            assert list(box.all()) == list(model.values())
            assert box.unread() == box.expected() == sum(m.waits for m in model.values())
        lines = await asyncio.to_thread(lines_of, path) if count else []
        assert {line["id"] for line in lines} >= set(model)
    finally:
        await writer.close()


def _id(number: int) -> str:
    return f"msg-{number:03}"


def _put(model: dict[str, SessionMessage], number: int, text: str, priority: int) -> SessionMessage:
    message = SessionMessage(
        id=_id(number),
        from_="a",
        to="b",
        content=text,
        timestamp="2026-01-01T00:00:00.000Z",
        read=False,
        priority=priority,
    )
    model[message.id] = message
    return message
