"""What a daemon that died in the middle does again: nobody is told twice, nobody is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from clawd.bus.memory import MemoryBus
from clawd.comms.caller import Caller
from clawd.comms.directory import Entry
from clawd.comms.manager import SessionCommsManager
from clawd.comms.models import SessionMessage
from clawd.config.schema import Limits
from clawd.errors import GuardRefused, StorageError
from clawd.events import Event
from clawd.lineage import begin
from clawd.storage.writer import Writer


class Never:
    """A clock whose time does not come."""

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> None:
        """Nothing."""


@pytest.fixture
async def comms(tmp_path: Path) -> AsyncIterator[SessionCommsManager]:
    """The messages of two sessions whose loops do not run."""
    writer = Writer()
    writer.start()
    limits = Limits(max_messages_per_pair=4)
    made = SessionCommsManager(
        tmp_path, MemoryBus(), writer, Never(), _ignore, lambda _: limits, lambda: 24.0
    )
    for name in ("a", "b"):
        made.directory.put(Entry(name, name))
        made.post.open(name, tmp_path / f"{name}.jsonl")
    yield made
    await writer.close()


def _ignore(_: Event) -> None:
    return None


async def asked(comms: SessionCommsManager, **options: Any) -> tuple[SessionMessage, Caller]:
    """A message from ``a``, and the turn of ``b`` that it started."""
    caller = Caller("a", begin(), turn="turn-1")
    message = await comms.post.send(caller, "b", "?", **options)
    await comms.post.delivered([message])
    assert message.lineage is not None
    return message, Caller("b", message.lineage, turn="turn-2", triggered_by=(message,))


async def a_moment() -> None:
    """Until the clock shows another millisecond, as it does after any call of a model."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.002)


def told(comms: SessionCommsManager) -> list[str]:
    """What is in the mailbox of ``a``."""
    return [message.content for message in comms.post.box("a").all()]


async def test_a_final_text_answers_once(comms: SessionCommsManager) -> None:
    """Ended twice, as after a kill before the turn's end was noted: one answer."""
    question, turn = await asked(comms, kind="request")
    await comms.settling.turn_finished(turn, "the answer")
    # As if the answer had been stored, and the daemon killed before the question was marked.
    await comms.post.mark([comms.post.get(question.id)], state="delivered", read=False)
    await comms.settling.turn_finished(turn, "the answer")
    assert told(comms) == ["the answer"]
    assert comms.post.get(question.id).state == "answered"


async def test_a_sender_is_told_once(comms: SessionCommsManager) -> None:
    """Told, killed before the state was written, given up again: one notice; requeued: another."""
    message, turn = await asked(comms)
    await a_moment()
    await comms.settling.give_back(comms.post.get(message.id), "was not delivered to b: why")
    await comms.settling.turn_failed(turn, "why", final=True)
    assert told(comms) == [f"Message {message.id} was not delivered to b: why"]
    assert comms.post.get(message.id).state == "dead"

    await comms.post.mark([comms.post.get(message.id)], state="stored", reason=None)
    await comms.post.delivered([message])
    await comms.settling.turn_failed(turn, "again", final=True)
    assert len(told(comms)) == 2


async def test_what_was_removed_meanwhile_is_nobodys_fault(comms: SessionCommsManager) -> None:
    """Mail that is read and pruned while its turn runs does not fail the turn."""
    message, turn = await asked(comms)
    await comms.post.read([message])
    await comms.post.remove("b", [message.id])
    await comms.settling.turn_finished(turn, "text")
    await comms.settling.turn_failed(turn, "why", final=True)
    await comms.settling.turn_cancelled([message], [], "operator")
    assert told(comms) == []


async def test_an_answer_that_comes_too_late_is_a_message(comms: SessionCommsManager) -> None:
    """A wait that ends while its answer is written: the answer waits in the inbox, unread."""
    asker = Caller("a", begin(), turn="turn-1")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(comms.post.ask(asker, "b", "?", 60))
        while not (found := list(comms.post.box("b").all())):
            await asyncio.wait([waiting], timeout=0.001)
        lineage = found[0].lineage or begin()
        turn = Caller("b", lineage, turn="turn-2", triggered_by=tuple(found))
        sending = group.create_task(comms.post.send(turn, "a", "answer"))
        # The answer is on its way to the disk when the turn that waits is stopped.
        await asyncio.wait([sending], timeout=0)
        waiting.cancel()
    (answer,) = comms.post.box("a").all()
    assert (answer.content, answer.waits) == ("answer", True)
    assert answer.reply_to == found[0].id


async def test_what_could_not_be_stored_counts_for_nothing(
    comms: SessionCommsManager, tmp_path: Path
) -> None:
    """A send that the disk refused leaves no message, no count, and an open wait open."""
    caller = Caller("a", begin(), turn="turn-1")
    await comms.post.send(caller, "b", "first")
    (tmp_path / "b.jsonl").rename(tmp_path / "aside")
    (tmp_path / "b.jsonl").mkdir()
    for _ in range(5):
        with pytest.raises(StorageError):
            await comms.post.send(caller, "b", "lost")
    assert comms.post.box("b").unread() == comms.post.box("b").expected() == 1
    (tmp_path / "b.jsonl").rmdir()
    (tmp_path / "aside").rename(tmp_path / "b.jsonl")
    for number in range(3):
        await comms.post.send(caller, "b", f"kept {number}")
    with pytest.raises(GuardRefused) as refused:
        await comms.post.send(caller, "b", "one too many")
    assert refused.value.facts["value"] == 4
    assert refused.value.facts["retryable"] is False


async def test_a_long_final_text_is_cut_to_a_message(comms: SessionCommsManager) -> None:
    """A final text over the limit of a message still answers, and says where the rest is."""
    _, turn = await asked(comms, kind="request")
    await comms.settling.turn_finished(turn, "é" * 1_000_000)
    (answer,) = told(comms)
    assert answer.startswith("éé")
    assert len(answer.encode()) < 256 * 1024 + 200
    assert answer.endswith("the whole text is the last output of b]")
