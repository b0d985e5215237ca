"""The ledger's file: over restarts, from day to day, and summed up."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from clawd.config.schema import Limits, Price
from clawd.errors import GuardRefused, Invalid
from clawd.ledger.account import Account
from clawd.ledger.days import Days
from clawd.ledger.ledger import Source
from clawd.ledger.report import AXES, first_day, summed
from clawd.llm.port import ChatRequest
from clawd.messages import Usage
from clawd.testing.books import Books
from clawd.testing.homes import lines_of

PRICED = Source("t", "m", Price(input=1.0, output=1.0))
BARE = Source("t", "bare")
DAY = 86_400.0


def asking(tokens: int) -> ChatRequest:
    """A request of so many tokens, for an answer of at most 1,000."""
    return ChatRequest("m", (), tokens=tokens, max_output_tokens=1000)


async def spend(books: Books, account: Account, usage: Usage, source: Source = PRICED) -> None:
    """One call that used this."""
    books.ledger.settle(await books.ledger.reserve(account, source, asking(1)), usage)


async def test_a_restart_forgets_nothing(books: Books) -> None:
    """T20: spend nearly all, die, start again: refused, with what remains."""
    books.house = Limits(max_tokens_per_day=10_000)
    await spend(books, Account("a", "t-1", "u"), Usage(9000, 999))
    await books.ledger.records()  # all that was put is in the file
    ledger = books.open()
    await ledger.resume()
    with pytest.raises(GuardRefused) as refused:
        await ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(10))
    assert refused.value.facts["value"] == 9999
    assert "1 tokens remain" in refused.value.message


async def test_a_call_that_was_cut_off_is_spent_in_full(books: Books) -> None:
    """A reservation that a dead daemon never settled counts as it was held, and says so once."""
    books.house = Limits(max_tokens_per_trace=5000, max_cost_per_day=1.0)
    await books.ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(500))
    ledger = books.open()
    purse = ledger.totals.trace("t-1")
    assert purse is not None
    assert purse.tokens == 1500
    assert purse.cost == pytest.approx(0.0015)
    await ledger.resume()
    text = "1 model call was cut off by the end of the daemon: counted in full, ~1,500 tokens"
    assert books.notices("budget_cut_off") == [text]
    (record,) = await ledger.records()
    assert (record.estimated, record.usage.input_tokens) == (True, 500)
    again = books.open()
    await again.resume()
    assert len(books.notices("budget_cut_off")) == 1
    kept = again.totals.trace("t-1")
    assert kept is not None
    assert kept.tokens == 1500


async def test_a_disk_that_refuses_does_not_stop_the_start(books: Books) -> None:
    """What was cut off counts in full whether or not it can be settled now."""
    books.house = Limits(max_tokens_per_trace=5000)
    await books.ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(500))
    await books.writer.close()
    ledger = books.open()
    await ledger.resume()
    purse = ledger.totals.trace("t-1")
    assert purse is not None
    assert purse.tokens == 1500


async def test_a_call_that_never_began_costs_nothing(books: Books) -> None:
    """What a limit had held back is free again, also after a restart."""
    books.house = Limits(max_tokens_per_trace=5000)
    books.ledger.settle(
        await books.ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(500)), None
    )
    await books.ledger.records()
    ledger = books.open()
    await ledger.resume()
    assert not books.notices("budget_cut_off")
    assert ledger.totals.session("a") == Usage()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/Santiago", "2026-09-06", 23),  # there is no 0:00 on this day
        ("Asia/Tehran", "2026-06-01", 24),
        ("Pacific/Kiritimati", "2026-01-01", 24),
    ],
)
def test_a_day_is_the_homes_day(zone: str, day: str, hours: int) -> None:
    """The day begins and ends with the date of the home's clock, however long it is."""
    moment = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone)).timestamp()
    time = [moment]
    days = Days(lambda: time[0], ZoneInfo(zone))
    assert days.today() == day
    seen = []
    for minute in range(-26 * 60, 26 * 60):
        time[0] = moment + minute * 60
        shown = datetime.fromtimestamp(time[0], ZoneInfo(zone)).date()
        assert days.today() == shown.isoformat()
        seen.append(shown)
    assert seen.count(date.fromisoformat(day)) == hours * 60


async def test_midnight_opens_a_new_purse(books: Books) -> None:
    """What was spent yesterday is gone from today's limit, not from the trace's nor the sums."""
    berlin = ZoneInfo("Europe/Berlin")
    books.time = datetime(2026, 10, 24, 23, 59, 30, tzinfo=berlin).timestamp()
    books.open(Days(lambda: books.time, berlin))
    books.house = Limits(max_tokens_per_day=2000)
    late = await books.ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(1))
    await spend(books, Account("a", "t-1", "u", own=True), Usage(1900, 0))
    with pytest.raises(GuardRefused):
        await spend(books, Account("a", "t-1", "u"), Usage(1, 0))
    books.time += 60
    await spend(books, Account("a", "t-1", "u"), Usage(100, 0))
    books.ledger.settle(late, Usage(400, 0))  # begun before midnight: yesterday's
    (bound,) = books.ledger.day_bounds("a")
    assert bound.purse.tokens == 100
    items, _ = summed(await books.ledger.records(), "day", "")
    assert [(i["day"], i["inputTokens"]) for i in items] == [
        ("2026-10-24", 2300),
        ("2026-10-25", 100),
    ]


async def many_days(books: Books) -> None:
    """Calls of several sessions, models and traces, over forty days."""
    for number in range(40):
        for session in ("a", "b"):
            account = Account(session, f"t-{number:03}", "u", task=f"k-{number}", role="hybrid")
            await spend(books, account, Usage(10, 1, cost=0.001))
            await spend(books, account, Usage(10, 2, cost=0.002))
            await spend(books, account, Usage(5, 0, estimated=True), BARE)
        books.time += DAY


async def test_old_days_are_summed_up_and_nothing_is_lost(books: Books) -> None:
    """One line for day, session, model and trace; later without the trace; the sums stay."""
    await many_days(books)
    before = {by: summed(await books.ledger.records(), by, "") for by in AXES}
    bytes_before, bytes_after = await books.ledger.compact()
    assert bytes_after < bytes_before
    lines = lines_of(books.folder / "usage.jsonl")
    assert len(lines) == 40 * 2 * 2
    assert {line.get("estimated", False) for line in lines if line["model"] == "bare"} == {True}
    traced = {line["trace"] for line in lines if "trace" in line}
    assert traced == {f"t-{number:03}" for number in range(10, 40)}
    after = {by: summed(await books.ledger.records(), by, "") for by in AXES}
    for by in ("day", "session", "model"):
        assert after[by] == before[by]
    assert after["trace"][1] == before["trace"][1]
    assert after["trace"][0][0] | {"day": ""} == {
        **after["trace"][0][0], "trace": "", "day": "", "inputTokens": 10 * 50,
    }  # fmt: skip
    used = books.ledger.totals.session("a")
    again = books.open().totals.session("a")
    assert again.cost == pytest.approx(used.cost)
    assert again.input_tokens == used.input_tokens


async def test_what_could_not_be_summed_up_is_later(books: Books) -> None:
    """R03: a sweep whose file cannot be rewritten leaves that to a later one of the same day."""
    for _ in range(3):
        await spend(books, Account("a", "t-1", "u"), Usage(10, 1))
    await books.ledger.records()  # all that was put is in the file
    books.time += DAY
    aside = books.folder.rename(books.folder.with_name("aside"))
    await books.ledger.sweep()
    aside.rename(books.folder)
    for _ in range(2):
        await books.ledger.sweep()
    (line,) = lines_of(books.folder / "usage.jsonl")
    assert line["inputTokens"] == 30


async def test_every_axis_sums_to_the_same(books: Books) -> None:
    """Estimates and what has no price are in each sum, and marked in each."""
    await many_days(books)
    records = await books.ledger.records()
    totals = []
    for by in AXES:
        items, total = summed(records, by, "")
        totals.append(total)
        for key in ("calls", "inputTokens", "outputTokens", "estimatedTokens", "unpricedTokens"):
            assert sum(item[key] for item in items) == total[key]
        assert sum(item["cost"] or 0 for item in items) == pytest.approx(total["cost"])
    assert all(total == totals[0] for total in totals)
    assert totals[0]["estimatedTokens"] == totals[0]["unpricedTokens"] == 40 * 2 * 5


async def test_a_trace_that_was_let_go_is_counted_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds the latest traces; an older one that moves again has not become richer."""
    monkeypatch.setattr("clawd.ledger.totals.KEPT", 20)
    books.house = Limits(max_tokens_per_trace=2000)
    for number in range(50):
        await spend(books, Account("a", f"t-{number:03}", "u"), Usage(1900, 0))
    assert books.ledger.totals.trace("t-000") is None
    with pytest.raises(GuardRefused, match="1,900 tokens of 2,000 tokens are spent"):
        await spend(books, Account("a", "t-000", "u"), Usage(1, 0))


@pytest.mark.parametrize(
    ("since", "day"),
    [(None, ""), ("2026-01-02", "2026-01-02"), ("1d", "2026-11-21"), ("7d", "2026-11-15")],
)
def test_since(since: str | None, day: str) -> None:
    """A day, or so many days up to today."""
    assert first_day(since, "2026-11-21") == day


@pytest.mark.parametrize("since", ["d", "yesterday", "2026-13-01", "99999999999d", "-1d"])
def test_a_day_that_is_none_is_named(since: str) -> None:
    """What is no day is refused in words."""
    with pytest.raises(Invalid, match="must be a day"):
        first_day(since, "2026-11-21")


def test_nothing_is_made_before_the_first_call(tmp_path: Path, books: Books) -> None:
    """A home that called no model has no ledger file."""
    assert not (tmp_path / "usage.jsonl").exists()
    assert books.ledger.totals.session("a") == Usage()
