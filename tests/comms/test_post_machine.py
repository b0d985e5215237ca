"""Messages against a simple model: their whole life, over kills, damage and compaction."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from clawd.bus.memory import MemoryBus
from clawd.comms.caller import Caller
from clawd.comms.directory import Entry
from clawd.comms.manager import Host, SessionCommsManager
from clawd.comms.models import AsyncTask, SessionMessage
from clawd.config.schema import Limits
from clawd.errors import ClawdError
from clawd.events import Event
from clawd.lineage import begin
from clawd.storage.writer import Writer
from clawd.testing.homes import lines_of

SESSIONS = ("a", "b", "c")
Result = TypeVar("Result")
sessions = st.sampled_from(SESSIONS)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)


class Never:
    """A clock whose time does not come, and a host without sessions."""

    def later(self, seconds: float, what: object) -> None:
        """Nothing."""

    async def stop_work(self, task: AsyncTask) -> None:
        """Nothing."""


def _ignore(_: Event) -> None:
    return None


class Mail(RuleBasedStateMachine):
    """Sends, turns, replies, removals and kills; the model is the state of each message.

    What a session is told about its messages (notices) is counted by what it is about.
    """

    sent = Bundle("sent")

    @initialize()
    def begin(self) -> None:
        """An empty home."""
        self.loop = asyncio.new_event_loop()
        self.home = Path(tempfile.mkdtemp())
        self.states: dict[str, str] = {}
        self.reading: set[str] = set()
        self.told: dict[str, int] = {}
        self.bad = 0
        self.open_house(problems=0)

    def open_house(self, problems: int) -> None:
        """Load what is on disk, as a start does; so many lines are damaged."""
        self.writer = Writer()
        limits = Limits(sends_per_minute=10**6, max_messages_per_pair=10**6)

        async def load() -> list[str]:
            self.writer.start()
            self.comms = SessionCommsManager(
                self.home, MemoryBus(), self.writer, Never(), _ignore, lambda _: limits,
                lambda: 24.0,
            )  # fmt: skip
            self.comms.attach(cast(Host, Never()))
            found: list[str] = []
            for name in SESSIONS:
                self.comms.directory.put(Entry(name, name))
                found += self.comms.post.open(name, self.home / f"{name}.jsonl")
            found += self.comms.load()
            await self.comms.resume()
            return found

        assert len(self.run(load())) == problems

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something on the loop."""
        return self.loop.run_until_complete(work)

    def find(self, message_id: str) -> SessionMessage:
        """A message as the mailboxes have it."""
        return self.comms.post.get(message_id)

    def caller(self, message_id: str) -> Caller:
        """The receiver, in a turn that the message started."""
        message = self.find(message_id)
        return Caller(message.to, begin(), "turn", (message,))

    @rule(target=sent, sender=sessions, to=sessions, text=texts)
    def send(self, sender: str, to: str, text: str) -> str:
        """A session writes to another; itself it cannot."""
        if sender == to:
            with pytest.raises(ClawdError):
                self.run(self.comms.post.send(Caller(sender, begin()), to, text))
            to = SESSIONS[(SESSIONS.index(sender) + 1) % 3]
        message = self.run(self.comms.post.send(Caller(sender, begin()), to, text))
        self.states[message.id] = "stored"
        return message.id

    @rule(message_id=sent)
    def turn_begins(self, message_id: str) -> None:
        """It enters a turn, if it still waits."""
        self.run(self.comms.post.delivered([self.find(message_id)]))
        if self.states[message_id] in ("stored", "held"):
            self.states[message_id] = "delivered"

    @rule(message_id=sent)
    def turn_ends(self, message_id: str) -> None:
        """The turn that it started ends well: it is read."""
        self.run(self.comms.settling.turn_finished(self.caller(message_id), "done"))
        self.is_read(message_id)

    @rule(message_id=sent)
    def read(self, message_id: str) -> None:
        """It is read by hand."""
        self.run(self.comms.post.read([self.find(message_id)]))
        self.is_read(message_id)

    def is_read(self, message_id: str) -> None:
        """In the model: reading ends the wait, and changes no other end than ``dead``."""
        if self.states[message_id] in ("stored", "delivered", "held", "dead"):
            self.states[message_id] = "read"
        self.reading.add(message_id)

    @rule(message_id=sent, final=st.booleans())
    def turn_fails(self, message_id: str, final: bool) -> None:
        """The turn fails: tried once more, or given up and the sender told, once."""
        waits = self.find(message_id).waits
        failing = self.comms.settling.turn_failed(self.caller(message_id), "why", final=final)
        self.run(failing)
        if final and waits:
            self.states[message_id] = "dead"
            self.tell(message_id)

    def tell(self, message_id: str) -> None:
        """In the model: the sender has a notice about it."""
        self.told[message_id] = 1

    @rule(target=sent, message_id=sent, text=texts)
    def reply(self, message_id: str, text: str) -> str:
        """The receiver answers in the turn that it started."""
        asked = self.find(message_id)
        message = self.run(self.comms.post.send(self.caller(message_id), asked.from_, text))
        assert message.reply_to == message_id
        if self.states[message_id] in ("stored", "delivered", "held", "read"):
            self.states[message_id] = "answered"
            self.reading.add(message_id)
        self.states[message.id] = "stored"
        return message.id

    @rule(owner=sessions)
    def removed(self, owner: str) -> None:
        """The session is removed (and comes back): its mail is held, senders are told."""
        waiting = [m for m in self.comms.post.box(owner).all() if m.waits and m.state != "held"]
        self.run(self.comms.settling.hold(owner))
        for message in waiting:
            if message.id in self.states:
                self.states[message.id] = "held"
                self.tell(message.id)

    @rule(owner=sessions)
    def compacted(self, owner: str) -> None:
        """The file is rewritten with one line a message."""
        box = self.comms.post.box(owner)
        self.run(box.compact())
        assert len(lines_of(box.path)) == len(list(box.all()))

    @rule(torn=st.booleans(), damaged=st.integers(0, 2), owner=sessions)
    def kill(self, torn: bool, damaged: int, owner: str) -> None:
        """The daemon dies, in the middle of a write or not, and somebody edits the file."""
        self.run(self.writer.close())
        path = self.home / f"{owner}.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        for number in range(damaged):
            lines.insert(number * 2, b"by hand")
        data = b"".join(line + b"\n" for line in lines)
        path.write_bytes(data + (b'{"id":"msg-torn","fr' if torn else b""))
        self.bad += damaged
        self.open_house(problems=damaged + torn)

    @invariant()
    def as_the_model_says(self) -> None:
        """States, unread counts, notices and files agree with the model."""
        if not hasattr(self, "states"):
            return
        found = {m.id: m for box in self.comms.post.boxes() for m in box.all()}
        assert {i: found[i].state for i in self.states} == self.states
        assert all(found[i].read for i in self.reading)
        for message_id in self.told:
            told = [m for m in found.values() if m.reply_to == message_id and m.from_daemon]
            assert told, "whoever sent it is told"
        for box in self.comms.post.boxes():
            assert box.unread() == box.expected() == sum(m.waits for m in box.all())
            if box.path.exists():
                assert {line["id"] for line in lines_of(box.path)} == {m.id for m in box.all()}
        kept = [p for name in SESSIONS if (p := self.home / f"{name}.jsonl.rejected").exists()]
        assert sum(len(lines_of(path)) for path in kept) == self.bad

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "writer"):
            self.run(self.writer.close())
            self.loop.close()
            shutil.rmtree(self.home)


TestMail = Mail.TestCase
TestMail.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
