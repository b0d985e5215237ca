"""The operator of the scripted night, who also pulls the plug: what happens from outside."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx2
from tests.faults.night_house import (
    ALL,
    BACKED,
    DESK,
    FANS,
    FLOODS,
    FRAIL,
    LEADS,
    LOCKED,
    MAKERS,
    MIDDLES,
    RING,
    RINGS,
    SINK,
    WORKERS,
    house,
)
from tests.faults.night_ledger import Ledger
from tests.faults.night_models import Minds

from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import write_config

JSON = dict[str, Any]
GONE = (httpx2.HTTPError, RuntimeError, TimeoutError, OSError)
"""What a client sees of a daemon that is killed under its hands."""

SETTLING = 3.0
"""Seconds after a start in which the client of models is still being loaded."""


class Operator:
    """Acts on a running daemon at random; ``up`` is cleared while it is down."""

    def __init__(
        self,
        daemon: RunningDaemon,
        ledger: Ledger,
        minds: Minds,
        chance: random.Random,
        urls: tuple[str, str],
    ) -> None:
        self.daemon = daemon
        self.up = asyncio.Event()
        self.did: Counter[str] = Counter()
        self.answers: list[float] = []
        """Seconds from a line to the desk's last word."""
        self.first_answers: list[float] = []
        """Those for lines said less than ``SETTLING`` seconds after a start."""
        self.started = 0.0
        self.interrupted = 0
        self.enforces_budgets = False
        self.rings: dict[str, tuple[str, float]] = {}
        """The message that began a ring → the ring, when."""
        self._ledger = ledger
        self._minds = minds
        self._chance = chance
        self._urls = urls
        self._ends: dict[str, asyncio.Future[JSON]] = {}
        """What comes of each turn that is waited for."""
        self._ended: dict[str, JSON] = {}
        """Ends that the stream told before the answer that names their turn."""
        self._numbers = itertools.count(1)
        self._edition = 0
        self._temporary: list[str] = []
        self._can_pause = True

    def heard(self, event: JSON) -> None:
        """Take in an event of the stream."""
        self._ledger.heard(event)
        if event["event"] in ("run_finished", "run_failed"):
            waiting = self._ends.pop(event["run_id"], None)
            if waiting is None and event["session"] == DESK:
                self._ended[event["run_id"]] = event
            elif waiting is not None and not waiting.done():
                waiting.set_result(event)

    async def chat(self, pause: float) -> None:
        """Say a line to the desk now and then, and see how long the answer takes."""
        while True:
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * pause)
            await self._try("chat", self._chat)

    async def work(self, pause: float) -> None:
        """Give them something to do, again and again."""
        while True:
            await asyncio.sleep(self._chance.uniform(0.3, 1.7) * pause)
            name, act = self._chance.choices(
                [(name, act) for name, act, _ in self._acts],
                [weight for _, _, weight in self._acts],
            )[0]
            await self._try(name, act)

    async def edit(self, pause: float) -> None:
        """Save the configuration and identity files; every fifth save is broken for a moment."""
        for number in itertools.count(1):
            await asyncio.sleep(self._chance.uniform(0.6, 1.4) * pause)
            self.did["reload"] += 1
            home = self.daemon.home
            if number % 5 == 0:
                (home / "config.json").write_text('{"sessions": {"desk": ', encoding="utf-8")
                await asyncio.sleep(1)
            self._edition += 1
            write_config(home, self.config(guest=self._edition % 2 == 1))
            soul = home / "workspaces" / self._chance.choice(ALL) / "SOUL.md"
            with suppress(FileNotFoundError):
                soul.write_text(f"You are of edition {self._edition}.\n" * 20, encoding="utf-8")

    async def tidy(self, pause: float) -> None:
        """Read the own mail and let what was read be removed, after the ledger has seen it."""
        while True:
            await asyncio.sleep(pause)
            await self._try("tidy", self._tidy)

    async def _tidy(self) -> None:
        await asyncio.to_thread(self._ledger.audit, self.daemon.home)
        await self.daemon.post("/api/messages/read", session="operator")
        await self.daemon.post("/api/messages/prune", olderThanSeconds=30)
        for session in [*ALL, "guest"]:
            with suppress(ApiError):
                await self.daemon.post(f"/api/sessions/{session}/reset")

    async def fill(self, traces: int) -> None:
        """Open so many traces, with messages to one that reads its mail by itself."""
        for _ in range(traces // 100):
            with suppress(ApiError):
                for _ in range(4):
                    sends = (
                        self.daemon.post("/api/messages", to=SINK, content="a trace")
                        for _ in range(25)
                    )
                    await asyncio.gather(*sends)
            await self.daemon.post("/api/messages/read", session=SINK)

    def config(self, *, guest: bool) -> JSON:
        """The configuration of this edition."""
        return house(*self._urls, guest=guest, edition=self._edition)

    @property
    def _acts(self) -> list[tuple[str, Callable[[], Awaitable[object]], float]]:
        pick = self._chance.choice
        return [
            ("ring", self._ring, 4),
            ("fan-out", lambda: self._prompt(pick(FANS), "§fan§"), 4),
            ("tree", lambda: self._prompt(pick(LEADS), "§tree§"), 8),
            ("flood", lambda: self._prompt(pick(FLOODS), "§flood§"), 1),
            ("read", lambda: self._prompt(SINK, "§read§"), 2),
            ("make", self._make, 2),
            ("remove", self._remove, 2),
            ("line", lambda: self._prompt(pick([*FRAIL, *BACKED, LOCKED]), "§hello§"), 16),
            ("message", lambda: self._message(pick([*FRAIL, *BACKED, *WORKERS, "guest"])), 8),
            ("question", self._question, 3),
            ("task", self._task, 4),
            ("cancel", self._cancel, 2),
            ("pause", self._pause, 1),
            ("look", self._look, 4),
        ]

    async def _try(self, name: str, act: Callable[[], Awaitable[object]]) -> None:
        await self.up.wait()
        try:
            await act()
            self.did[name] += 1
        except ApiError as error:
            self.did[f"{name}: {error.code}"] += 1
            if error.http == 500:
                self._ledger.broken.append(f"{name}: answered 500: {error.message}")
        except GONE as error:
            self.interrupted += 1
            if self.up.is_set() and isinstance(error, TimeoutError):
                self._ledger.broken.append(f"{name}: no answer in time")

    async def _chat(self) -> None:
        began = time.monotonic()
        turn = await self.daemon.prompt(DESK, f"are you there? {self._minds.token()}")
        self._ledger.prompts[turn] = DESK
        end = self._ends[turn] = asyncio.get_running_loop().create_future()
        if turn in self._ended:
            end.set_result(self._ended[turn])
            del self._ends[turn]
        self._ended.clear()
        down = asyncio.get_running_loop().create_task(self._down())
        done, _ = await asyncio.wait({end, down}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        down.cancel()
        if end in done:
            early = began - self.started < SETTLING
            (self.first_answers if early else self.answers).append(time.monotonic() - began)
            if end.result()["event"] != "run_finished":
                self._ledger.broken.append(f"the desk failed: {end.result()['error']}")
        elif not done:
            self._ledger.broken.append(f"the desk did not answer {turn} within 30 s")
        else:
            self.interrupted += 1

    async def _down(self) -> None:
        while self.up.is_set():  # noqa: ASYNC110 - the event is cleared, which nobody can await
            await asyncio.sleep(0.05)

    async def _prompt(self, session: str, text: str) -> None:
        turn = await self.daemon.prompt(session, f"{text} {self._minds.token()}")
        self._ledger.prompts[turn] = session

    async def _ring(self) -> None:
        ring = self._chance.choice(list(RINGS))
        text = f"§ring:{ring}§ {self._minds.token()}"
        sent = await self.daemon.post("/api/messages", to=RINGS[ring][0], content=text)
        self._ledger.messages.add(sent["id"])
        self.rings[sent["id"]] = (ring, time.monotonic())

    async def _message(self, to: str) -> None:
        more = {"ttlSeconds": 5} if self._chance.random() < 0.1 else {}
        text = f"§hello§ {self._minds.token()}"
        sent = await self.daemon.post("/api/messages", to=to, content=text, **more)
        self._ledger.messages.add(sent["id"])

    async def _question(self) -> None:
        text = f"how are you? {self._minds.token()}"
        to = self._chance.choice([*WORKERS, *MIDDLES])
        sent = await self.daemon.post("/api/messages", to=to, content=text, waitSeconds=2)
        self._ledger.messages.add(sent["id"])

    async def _task(self) -> None:
        made = await self.daemon.post(
            "/api/tasks",
            toSession=self._chance.choice([*WORKERS, *MIDDLES]),
            task=f"§branch§ {self._minds.token()}",
        )
        self._ledger.tasks[made["id"]] = "operator"

    async def _make(self) -> None:
        name = f"temp{next(self._numbers)}"
        self._temporary.append(name)
        await self._prompt(self._chance.choice(MAKERS), f"§make:{name}§")

    async def _remove(self) -> None:
        if len(self._temporary) > 4:
            await self.daemon.ask("DELETE", f"/api/sessions/{self._temporary.pop(0)}")

    async def _cancel(self) -> None:
        session = self._chance.choice([s for s in ALL if s not in (*RING, DESK)])
        await self.daemon.post(f"/api/sessions/{session}/cancel")

    async def _pause(self) -> None:
        if self._can_pause:
            session = self._chance.choice([*FRAIL, *WORKERS])
            response = await self.daemon.raw("POST", "/api/pause", json={"session": session})
            self._can_pause = response.status_code not in (404, 405)
            await asyncio.sleep(2)
            await self.daemon.raw("POST", "/api/resume", json={"session": session})

    async def _look(self) -> None:
        for path in ("/api/sessions", "/api/tasks", "/api/messages", "/api/providers"):
            await self.daemon.get(path)
