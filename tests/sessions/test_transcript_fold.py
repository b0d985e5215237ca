"""The transcript is a fold over its file: read again, it is what it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clawd.ids import new_id, now
from clawd.lineage import begin
from clawd.messages import Usage, assistant, user
from clawd.sessions.records import Trigger, TurnRecord
from clawd.sessions.transcript import Transcript
from clawd.storage.writer import Writer


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    """The thread that writes."""
    running = Writer()
    running.start()
    yield running
    await running.close()


def turn(transcript: Transcript, **fields: Any) -> TurnRecord:
    """A turn that the operator asked for."""
    asked: dict[str, Any] = {
        "id": new_id("turn"),
        "conversation": transcript.conversation,
        "time": now(),
        "trigger": Trigger("user", "operator", text="hi"),
        "status": "queued",
        "lineage": begin(),
    }
    return TurnRecord(**asked | fields)


async def said(transcript: Transcript, of: TurnRecord, *texts: str) -> None:
    """Lines of a turn, user and assistant by turns."""
    kinds = (user, assistant)
    messages = [kinds[n % 2](text) for n, text in enumerate(texts)]
    await transcript.append(*(transcript.message(of, m) for m in messages))


def state(transcript: Transcript) -> tuple[Any, ...]:
    """All that others see of a transcript."""
    return (
        transcript.conversation,
        transcript.turns,
        transcript.usage,
        transcript.records(),
        transcript.view(),
        transcript.tokens(),
    )


async def test_read_again_it_is_the_same(tmp_path: Path, writer: Writer) -> None:
    """Turns, messages, a summary and a new conversation: the same from the file as in memory."""
    transcript = Transcript(tmp_path, writer)
    await transcript.begin()
    first = turn(transcript)
    await transcript.append(first)
    await said(transcript, first, "one", "two", "three", "four")
    await transcript.change(first, status="finished", usage=Usage(5, 7))
    await transcript.summarised(transcript.records()[:2], "SUM")
    await transcript.append(turn(transcript))

    def again() -> Transcript:
        other = Transcript(tmp_path, writer)
        assert other.load() == []
        return other

    assert state(again()) == state(transcript)
    assert [m.content for m in transcript.view()][1:] == ["three", "four"]
    assert "SUM" in (transcript.view()[0].content or "")
    assert len(transcript.records()) == 4
    await transcript.begin()
    assert state(again()) == state(transcript)
    assert transcript.view() == []
    assert len(transcript.turns) == 1, "what waits is not lost with the conversation"


async def test_what_a_cancel_cut_off(tmp_path: Path, writer: Writer) -> None:
    """A partial text is shown to later turns, and not to the one that goes on."""
    transcript = Transcript(tmp_path, writer)
    await transcript.begin()
    running = turn(transcript, status="running")
    await transcript.append(running)
    await said(transcript, running, "question")
    await transcript.append(transcript.message(running, assistant("hal"), partial=True))
    assert [m.content for m in transcript.view(running.id)] == ["question"]
    assert [m.content for m in transcript.view()] == ["question", "hal"]
    assert [m.content for m in transcript.of_turn(running.id)] == ["question"]
    assert await transcript.finals() == []


async def test_late_lines_of_another_conversation(tmp_path: Path, writer: Writer) -> None:
    """A turn that ends after a reset writes into its own conversation, not into the new one."""
    transcript = Transcript(tmp_path, writer)
    await transcript.begin()
    old = turn(transcript, status="running")
    await transcript.begin()
    await said(transcript, old, "late")
    assert transcript.records() == []
    assert transcript.tokens() == 0


async def test_what_a_sleeping_session_said_is_read_again(tmp_path: Path, writer: Writer) -> None:
    """Its messages are on disk alone until they are wanted; then all is as if never let go."""
    transcript = Transcript(tmp_path, writer)
    await transcript.begin()
    first = turn(transcript)
    await transcript.append(first)
    await said(transcript, first, "one", "two", "three")
    await transcript.summarised(transcript.records()[:1], "SUM")
    await transcript.change(first, status="finished", usage=Usage(5, 7))
    before, tokens = state(transcript), transcript.tokens()
    transcript.let_go()
    assert transcript.tokens() == tokens
    with pytest.raises(RuntimeError, match="recall"):
        transcript.records()
    await asyncio.gather(transcript.recall(), transcript.recall())
    assert state(transcript) == before
    second = turn(transcript)
    await transcript.append(second)
    transcript.let_go()
    assert transcript.records(), "a turn is to go on"
