"""Sealed records in a log: what is on disk, what comes back, and what happens without the key."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.comms.models import AsyncTask, SessionMessage, blank
from clawd.errors import Invalid
from clawd.keyring import KeyMissing, Keyring
from clawd.secrets import Secret
from clawd.storage.jsonl import Log
from clawd.storage.sealing import Sealing, Seals
from clawd.storage.writer import Writer

CANARY = "the heron lands at noon"
KEY, OTHER = (Secret(secrets.token_urlsafe(32)) for _ in range(2))


def ring(*keys: Secret) -> Keyring:
    """A ring of these keys, the first of which seals."""
    made = Keyring()
    made.take(keys[0] if keys else None, keys[1:])
    return made


def seals(keys: Keyring, *private: str, lenient: bool = False) -> Seals[SessionMessage]:
    """What seals messages to these sessions."""
    sealing = Sealing(keys, lambda session: session in private)
    return sealing.sealer(blank, lambda message: (message.to,), lenient=lenient)


def message(number: int = 1, content: str = CANARY) -> SessionMessage:
    """A message to ``a``."""
    return SessionMessage(
        id=f"msg-{number}", from_="b", to="a", content=content, timestamp="t", read=False
    )


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    """A running writer."""
    running = Writer()
    running.start()
    yield running
    await running.close()


@given(content=st.text(st.characters(exclude_categories=["Cs"])), note=st.none() | st.text("ab"))
def test_what_is_sealed_comes_back(content: str, note: str | None) -> None:
    """Any content, with any key of the ring; on the outside there is none of it."""
    original = SessionMessage(
        id="m", from_="b", to="a", content=content, timestamp="t", read=False, note=note
    )
    sealed = seals(ring(KEY), "a").sealed(original)
    assert (sealed.content, sealed.note) == ("", None)
    assert (sealed.id, sealed.to, sealed.timestamp) == ("m", "a", "t")
    assert seals(ring(OTHER, KEY), "a").opened(sealed) == original


def test_a_seal_is_bound_to_its_record() -> None:
    """In another record, or with one letter changed, it does not open."""
    sealer = seals(ring(KEY), "a")
    first, second = sealer.sealed(message(1)), sealer.sealed(message(2))
    assert first.sealed != sealer.sealed(message(1)).sealed
    swapped = json.loads(json.dumps({"sealed": second.sealed}))["sealed"]
    for wrong in (swapped, first.sealed[:-3] + "AA=", "1.nonsense", "2" + first.sealed[1:]):
        with pytest.raises(ValueError, match="seal"):
            sealer.opened(_with(first, wrong))


def _with(record: SessionMessage, seal: str) -> SessionMessage:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return SessionMessage(**fields | {"sealed": seal})


def test_without_a_key_nothing_is_written_plain() -> None:
    """Sealing is refused with the reason; a wrong key is told from a broken seal."""
    sealed = seals(ring(KEY), "a").sealed(message())
    with pytest.raises(KeyMissing, match="no key is configured"):
        seals(ring(), "a").sealed(message())
    with pytest.raises(KeyMissing, match=sealed.sealed.split(".")[1]):
        seals(ring(OTHER), "a").opened(sealed)
    assert seals(ring(OTHER), "a", lenient=True).opened(sealed) == sealed
    assert seals(ring(), "b").sealed(message()) == message()


def test_what_was_said_of_a_closed_task_is_kept_beside_its_seal() -> None:
    """A task that ended while its key was away has its text and its end once the key is back."""
    sealing = Sealing(ring(KEY), lambda _: True)
    task = AsyncTask(
        id="t", from_session="a", to_session="b", task=CANARY, status="pending", created_at="t"
    )
    sealed = sealing.sealer(blank, lambda _: ("a",)).sealed(task)
    away = Sealing(ring(), lambda _: True).sealer(blank, lambda _: ("a",), lenient=True)
    closed = away.opened(sealed)
    assert closed.task == ""
    fields = {name: getattr(closed, name) for name in closed.__struct_fields__}
    ended = away.sealed(AsyncTask(**fields | {"status": "failed", "error": "too late"}))
    back = sealing.sealer(blank, lambda _: ("a",)).opened(ended)
    assert (back.task, back.status, back.error, back.sealed) == (CANARY, "failed", "too late", "")


async def test_rewriting_brings_every_line_to_the_present_form(
    tmp_path: Path, writer: Writer
) -> None:
    """Plain lines are sealed, old keys replaced, unknown fields and damage left; and back again."""
    path = tmp_path / "log"
    plain: Log[SessionMessage] = Log(path, SessionMessage, writer)
    await plain.append(message(1), message(2))
    old: Log[SessionMessage] = Log(path, SessionMessage, writer, sealer=seals(ring(OTHER), "a"))
    await old.append(message(3))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["later"] = [1, 2]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "no record\n")
    now: Log[SessionMessage] = Log(
        path, SessionMessage, writer, sealer=seals(ring(KEY, OTHER), "a")
    )
    before, after = await now.reseal()
    text = path.read_text()
    assert before != after
    assert CANARY not in text
    assert {line["sealed"].split(".")[1] for line in map(json.loads, text.splitlines()[:3])} == {
        ring(KEY).current
    }
    assert json.loads(text.splitlines()[0])["later"] == [1, 2]
    assert text.endswith("no record\n")
    assert await now.reseal() == (after, after)

    wrong: Log[SessionMessage] = Log(path, SessionMessage, writer, sealer=seals(ring(OTHER), "a"))
    with pytest.raises(KeyMissing):
        wrong.load()
    with pytest.raises(KeyMissing):
        await wrong.reseal()
    assert path.read_text() == text
    off: Log[SessionMessage] = Log(path, SessionMessage, writer, sealer=seals(ring(KEY), "b"))
    loaded = off.load()
    assert {record.content for record in loaded.records.values()} == {CANARY}
    assert len(loaded.problems) == 1
    await off.compact()
    assert path.read_text().count(CANARY) == 3
    assert "sealed" not in path.read_text()


@pytest.mark.parametrize("text", ["short", "x" * 43 + "!", "00" * 31, "password " * 5])
def test_what_is_no_key_is_refused(text: str) -> None:
    """A passphrase is no key; the message says how to make one and shows nothing of it."""
    with pytest.raises(Invalid) as refused:
        ring(Secret(text))
    assert "clawd keys new" in refused.value.hint
    assert text not in str(refused.value)
    assert ring(Secret("ab" * 32)).current
