"""The one ledger of model calls: what they may use is reserved, what they used is kept.

A reservation is made in one step, so that any number of sessions that draw on one purse cannot
overdraw it. Where a limit is in force it is on disk before the call; one that is never settled,
because the daemon died, counts as spent in full. Without any limit nothing is waited for: the
line goes to disk together with the end of the turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clawd.agent.context import tokens_of
from clawd.config.schema import Limits
from clawd.errors import ClawdError, GuardRefused
from clawd.events import Event
from clawd.ids import new_id, now
from clawd.ledger.account import Account
from clawd.ledger.bounds import (
    SHORTEST_ANSWER,
    UNLIMITED_ANSWER,
    answer_room,
    bounds,
    price_of,
    refused,
    unbounded,
    unpriced,
)
from clawd.ledger.days import Days
from clawd.ledger.purse import Bound, Purse
from clawd.ledger.records import UsageRecord
from clawd.ledger.rollup import Waiting, due, rolled_up
from clawd.ledger.telling import Telling
from clawd.ledger.totals import Totals
from clawd.llm.port import ChatRequest
from clawd.llm.prices import Price
from clawd.llm.tokens import estimate
from clawd.messages import Usage
from clawd.storage.jsonl import Log
from clawd.storage.writer import Writer

FILE_NAME = "usage.jsonl"
WAIT_SECONDS = 600.0
"""How long a call waits for what is held for others; they end before, or are stopped."""
SYNC_SECONDS = 1.0
"""A power cut may take the lines of about so long; a kill takes none, nor does either a hold."""

log = logging.getLogger("clawd.ledger")


@dataclass(frozen=True, slots=True)
class Source:
    """What answers: a model of a template, with its price; ``free`` costs nothing at all."""

    template: str
    model: str
    price: Price | None = None
    free: bool = False


class _Held(Exception):
    """What a call needs is there, but held for calls that run; ``error`` if it stays so."""

    def __init__(self, error: GuardRefused) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held back for one call. ``answer`` is the most tokens it may answer, if bounded."""

    record: UsageRecord
    purses: tuple[Purse, ...]
    bounds: Sequence[Bound]
    answer: int | None
    free: bool = False


class Ledger:
    """Reserves, settles and sums up."""

    def __init__(
        self,
        state: Path,
        writer: Writer,
        emit: Callable[[Event], object],
        limits: Callable[[str], Limits],
        house: Callable[[], Limits],
        payer: Callable[[str], str],
        keep_days: Callable[[], float],
        days: Days | None = None,
    ) -> None:
        self._log = Log[UsageRecord](state / FILE_NAME, UsageRecord, writer)
        self._telling = Telling(emit)
        self._limits = limits
        self._house = house
        self._payer = payer
        self._keep_days = keep_days
        self._days = days or Days()
        self.totals = Totals(self._days.today)
        self._open: dict[str, UsageRecord] = {}
        self._waiting = Waiting()
        self._synced = -SYNC_SECONDS
        self._freed = asyncio.Event()

    def load(self) -> list[str]:
        """Read the file (blocking); what was wrong with it, in words."""
        loaded = self._log.load()
        today = self._days.today()
        for record in loaded.records.values():
            self.totals.add(record)
            if record.state == "reserved":
                self._open[record.id] = record
        self._waiting = Waiting(today, due(loaded.records.values(), today, self._keep_days()))
        return [str(problem) for problem in loaded.problems]

    async def resume(self) -> None:
        """After a start: what the last daemon did not settle is spent, as far as anyone knows."""
        cut_off = [msgspec.structs.replace(r, state="settled") for r in self._open.values()]
        self._open.clear()
        try:
            await self._log.append(*cut_off)
        except ClawdError as failure:
            # They count all the same, now and after the next start, which tries again.
            log.warning("calls that were cut off were not settled: %s", failure.message)
        else:
            if cut_off:
                self._telling.cut_off(cut_off)
        await self.sweep()

    async def reserve(self, account: Account, source: Source, request: ChatRequest) -> Hold:
        """Hold back what this call may use; ``GuardRefused`` when that is not there any more.

        What is only held for calls that run is waited for. When it returns, a reservation that a
        limit asks for is on disk.
        """
        await self._recall(account)
        hold = await self._once_free(account, source, request)
        if hold.bounds:
            try:
                await self._log.append(hold.record)
            except BaseException:
                self.settle(hold, None)
                raise
        return hold

    def settle(self, hold: Hold, usage: Usage | None) -> None:
        """The call is over, and used this; ``None``: nothing, as far as anyone knows."""
        held = hold.record
        for purse in hold.purses:
            purse.release(held.input_tokens + held.output_tokens, held.cost or 0.0)
        if hold.bounds:
            self._freed.set()
            self._freed = asyncio.Event()
        elif usage is None:
            return
        before = [bound.purse.spent(bound.unit) for bound in hold.bounds]
        given = usage or Usage()
        record = msgspec.structs.replace(
            held,
            time=now(),
            state="settled",
            input_tokens=given.input_tokens,
            output_tokens=given.output_tokens,
            cached_tokens=given.cached_tokens,
            cost=0.0 if hold.free else given.cost,
            estimated=given.estimated,
            calls=0 if usage is None else 1,
        )
        if usage is not None:
            for purse in hold.purses:
                purse.spend(usage)
            self.totals.count(record)
            self._telling.passed(held.session, held.trace, hold.bounds, before)
        # A turn's next line takes this one along; where none will come it goes by itself.
        try:
            self._log.put(record, soon=not held.turn, sync=self._may_sync(), refused=self._not_kept)
        except ClawdError as failure:
            self._not_kept(failure)

    async def sweep(self) -> None:
        """At times: on another day, sum up the calls of those before."""
        if self._waiting.due(self._days.today(), self._log.lines):
            try:
                await self.compact()
                self._waiting.done()
            except ClawdError as error:
                self._waiting.refused()
                log.warning("%s was not summed up: %s", self._log.path, error.message)

    async def compact(self) -> tuple[int, int]:
        """Sum up what is older than today; bytes before and after."""
        today, days = self._days.today(), self._keep_days()
        return await self._log.rewrite(lambda records: rolled_up(records, today, days))

    async def records(self) -> list[UsageRecord]:
        """Every line that is settled, from the file."""
        found = await asyncio.to_thread(self._log.read)
        return [record for record in found if record.state == "settled"]

    async def turn(self, turn: str) -> Usage:
        """What the calls of a turn used, from the file: those too that a crash cut off from it."""
        used = [record.usage for record in await self.records() if record.turn == turn]
        return sum(used, Usage())

    def day_bounds(self, session: str) -> list[Bound]:
        """The limits of a session's and the daemon's day, as they stand; "": the daemon's alone."""
        payer = self._payer(session)
        if unbounded(Account(session), self._limits(session), self._limits(payer), self._house()):
            return []
        purses = self.totals.purses("", payer)
        found = self._bounds(Account(session), payer, purses)
        return [bound for bound in found if bound.purse is not purses[0]]

    def trace_bounds(self) -> Iterator[Bound]:
        """The top-level limits of every trace at hand, as they stand."""
        limits = self._house()
        if limits.max_tokens_per_trace is None and limits.max_cost_per_trace is None:
            return
        for trace, purse in self.totals.traces():
            purses = (purse, Purse(), Purse())
            for bound in bounds(Account("", trace), "", purses, limits, limits, limits):
                if bound.purse is purse:
                    yield bound

    @property
    def today(self) -> str:
        """The home's day."""
        return self._days.today()

    async def _once_free(self, account: Account, source: Source, request: ChatRequest) -> Hold:
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            freed = self._freed
            try:
                return self._hold(account, source, request)
            except _Held as held:
                error = held.error
            try:
                async with asyncio.timeout_at(deadline):
                    await freed.wait()
            except TimeoutError:
                raise error from None

    def _hold(self, account: Account, source: Source, request: ChatRequest) -> Hold:
        payer = self._payer(account.session)
        purses = self.totals.purses(account.trace, payer)
        found = self._bounds(account, payer, purses)
        tokens = answer = 0
        cost: float | None = None
        if found:
            tokens = tokens_sent(request)
            answer = self._room(account, source, found, tokens, request.max_output_tokens)
            cost = price_of(tokens, answer, source.price)
        record = UsageRecord(
            id=new_id("use"),
            time=now(),
            day=self.totals.day,
            session=account.session,
            payer=payer,
            template=source.template,
            model=source.model,
            state="reserved",
            trace=account.trace,
            turn=account.turn,
            task=account.task,
            role=account.role,
            input_tokens=tokens,
            output_tokens=answer,
            cost=cost,
            estimated=True,
        )
        for purse in purses:
            purse.hold(tokens + answer, cost or 0.0)
        return Hold(record, purses, found, answer if found else None, source.free)

    def _room(
        self,
        account: Account,
        source: Source,
        found: Sequence[Bound],
        tokens: int,
        wanted: int | None,
    ) -> int:
        """How long the answer may be; ``GuardRefused`` when a limit leaves too little of it."""
        longest = wanted or UNLIMITED_ANSWER
        binding = [bound for bound in found if bound.strict or not account.own]
        for bound in binding:
            if bound.unit == "USD" and source.price is None and not source.free:
                raise unpriced(bound, source.template, source.model)
        if not binding:
            return longest
        rooms = [answer_room(bound, tokens, source.price) for bound in binding]
        room = min(rooms)
        if room < min(longest, SHORTEST_ANSWER):
            tightest = binding[rooms.index(room)]
            cost = price_of(tokens, longest, source.price)
            error = refused(tightest, account.session, tokens, longest, cost)
            alone = min(answer_room(bound, tokens, source.price, held=False) for bound in binding)
            raise error if alone < min(longest, SHORTEST_ANSWER) else _Held(error)
        return int(min(longest, room))

    def _bounds(
        self, account: Account, payer: str, purses: tuple[Purse, Purse, Purse]
    ) -> Sequence[Bound]:
        own, house = self._limits(account.session), self._house()
        pays = own if payer == account.session else self._limits(payer)
        if unbounded(account, own, pays, house):
            return ()
        return bounds(account, payer, purses, own, pays, house)

    async def _recall(self, account: Account) -> None:
        """Count a trace anew that was let go and moves again, if it may have a limit."""
        if not self.totals.let_go(account.trace):
            return
        found = await asyncio.to_thread(self._log.read)
        self.totals.recall(account.trace, (r for r in found if r.trace == account.trace))

    def _may_sync(self) -> bool:
        """Whether the next line goes to disk for good: once in a while, for it costs much."""
        moment = time.monotonic()
        if moment - self._synced < SYNC_SECONDS:
            return False
        self._synced = moment
        return True

    def _not_kept(self, failure: BaseException) -> None:
        log.error("what a model call used was not kept: %s", failure)


def tokens_sent(request: ChatRequest) -> int:
    """About how many tokens the messages and the tools of a request take."""
    if request.tokens:
        return request.tokens
    tools = estimate(msgspec.json.encode(request.tools).decode()) if request.tools else 0
    return tools + sum(map(tokens_of, request.messages))
