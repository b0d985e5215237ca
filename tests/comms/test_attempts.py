"""Mail whose turn fails: tried again after growing pauses, given up after five attempts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from clawd.approvals.desk import Desk
from clawd.bus.memory import MemoryBus
from clawd.comms.caller import Caller
from clawd.comms.directory import Entry
from clawd.comms.manager import SessionCommsManager
from clawd.config.schema import Config, Limits, SessionSettings
from clawd.errors import ProviderError
from clawd.events import Event, SessionMessageChanged
from clawd.ledger.account import Account
from clawd.lineage import begin
from clawd.llm.port import ChatRequest, Reply
from clawd.messages import Usage
from clawd.sessions.gate import Gate
from clawd.sessions.services import Chosen, Services
from clawd.sessions.session import Session
from clawd.storage.writer import Writer


class Refusing:
    """A model that refuses the first ``times`` requests, and then answers."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.requests: list[ChatRequest] = []

    async def stream(self, request: ChatRequest) -> AsyncIterator[Reply]:
        """One answer."""
        self.requests.append(request)
        if len(self.requests) <= self.times:
            raise ProviderError("provider_refused", "no such key")
        yield Reply("ok")

    async def choose(self, settings: SessionSettings, account: Account) -> Chosen:
        """This model, whoever asks."""
        return Chosen(self, settings.id, 100_000)

    async def used(self, turn: str) -> Usage:
        """Nothing: no turn here outlives a daemon."""
        return Usage()


class Hasty:
    """A clock for which every pause is over at once; it remembers how long they were to be."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.pauses: list[float] = []
        self._group = group

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> None:
        """Do it now."""

        async def run() -> None:
            await what()

        if seconds:  # what is done at once waits for nothing
            self.pauses.append(seconds)
        self._group.create_task(run())


async def one_message(folder: Path, model: Refusing) -> tuple[SessionCommsManager, list[float]]:
    """Send ``b`` a message from ``a``, and wait until it has come to its end."""
    ended = asyncio.Event()

    def see(event: Event) -> None:
        if isinstance(event, SessionMessageChanged) and event.message.state in ("read", "dead"):
            ended.set()

    writer = Writer()
    writer.start()
    try:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            bus, clock, config, limits = MemoryBus(), Hasty(group), Config(), Limits()
            comms = SessionCommsManager(
                folder, bus, writer, clock, see, lambda _: limits, lambda: 24.0
            )
            desk = Desk(folder / "approvals.jsonl", writer, clock, see)
            services = Services(
                comms, bus, writer, clock, Gate(lambda: 4), model, lambda: config, see, desk
            )
            for name in ("a", "b"):
                comms.directory.put(Entry(name, name, wake=name == "b"))
                comms.post.open(name, folder / f"{name}.jsonl")
            session = Session(SessionSettings(id="b"), folder, services)
            running = group.create_task(session.run())
            await comms.post.send(Caller("a", begin()), "b", "hello")
            await ended.wait()
            running.cancel()
    finally:
        await writer.close()
    return comms, clock.pauses


async def test_the_fifth_failure_is_the_last(tmp_path: Path) -> None:
    """Comms, life: five attempts after growing pauses; then dead, and the sender told."""
    model = Refusing(times=9)
    comms, pauses = await one_message(tmp_path, model)
    assert len(model.requests) == 5
    assert pauses == sorted(pauses)
    assert len(pauses) == 4
    (dead,) = comms.post.box("b").all()
    assert (dead.state, dead.read, dead.attempts) == ("dead", False, 5)
    assert dead.reason == "no such key"
    (told,) = comms.post.box("a").all()
    assert told.content == f"Message {dead.id} was not delivered to b: no such key"
    assert (told.type, told.reply_to) == ("notice", dead.id)


async def test_a_passing_failure_is_forgotten(tmp_path: Path) -> None:
    """Comms, life: what succeeds at last is read, was shown once, and nobody is told of it."""
    model = Refusing(times=3)
    comms, _ = await one_message(tmp_path, model)
    assert len(model.requests) == 4
    (read,) = comms.post.box("b").all()
    assert (read.state, read.attempts) == ("read", 3)
    assert list(comms.post.box("a").all()) == []
    shown = [m.content or "" for m in model.requests[-1].messages]
    assert sum(read.id in text for text in shown) == 1
