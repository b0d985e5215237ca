"""What a call may use is held back before it, exactly, and nothing is overdrawn."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawd.config.schema import Limits, Price
from clawd.errors import GuardRefused, ProviderError
from clawd.ledger.account import Account
from clawd.ledger.ledger import Hold, Ledger, Source
from clawd.ledger.metered import Metered
from clawd.ledger.purse import Bound, Purse
from clawd.lineage import Budget
from clawd.llm.patience import Patience
from clawd.llm.pool import ModelPool
from clawd.llm.port import ChatRequest, Reply
from clawd.messages import Usage, user
from clawd.storage.writer import Writer
from clawd.testing.books import Books
from clawd.testing.model import ScriptedModel, cut, cut_in_arguments, say

PRICED = Source("t", "m", Price(input=2.0, output=10.0))
FREE = Source("offline", "offline", free=True)


def asking(tokens: int, longest: int | None = None) -> ChatRequest:
    """A request of so many tokens, for an answer of at most so many."""
    return ChatRequest("m", (), tokens=tokens, max_output_tokens=longest)


async def refusal(ledger: Ledger, account: Account, request: ChatRequest) -> GuardRefused:
    """The error that a call meets."""
    with pytest.raises(GuardRefused) as refused:
        await ledger.reserve(account, PRICED, request)
    return refused.value


def held(hold: Hold) -> tuple[int, float]:
    """What is held back in the trace's purse."""
    return hold.purses[0].held_tokens, hold.purses[0].held_cost


@pytest.mark.parametrize(("longest", "answer"), [(None, 4096), (300, 300), (9000, 9000)])
async def test_input_and_the_longest_answer_are_held_back(
    books: Books, longest: int | None, answer: int
) -> None:
    """The answer counts with maxOutputTokens, else 4,096, and is sent as the cap."""
    books.house = Limits(max_tokens_per_trace=50_000, max_cost_per_day=10.0)
    hold = await books.ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(1000, longest))
    assert hold.answer == answer
    assert held(hold) == (1000 + answer, (1000 * 2.0 + answer * 10.0) / 1_000_000)
    books.ledger.settle(hold, Usage(900, 50, cost=0.0023))
    assert held(hold) == (0, 0.0)
    assert [(p.tokens, p.cost) for p in hold.purses] == [(950, 0.0023)] * 3


async def test_nothing_is_held_where_nothing_is_limited(books: Books) -> None:
    """Without a limit the answer has no cap, and nothing is written before the call."""
    hold = await books.ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(1000))
    assert (hold.answer, held(hold)) == (None, (0, 0.0))
    assert not (books.folder / "usage.jsonl").exists()


async def test_an_answer_is_cut_to_what_remains(books: Books) -> None:
    """What a budget leaves is used; less than a short answer is refused, with the remainder."""
    books.house = Limits(max_tokens_per_trace=2000)
    first = await books.ledger.reserve(Account("a", "t-1", "u"), FREE, asking(500))
    assert first.answer == 1500
    books.ledger.settle(first, Usage(500, 1000))
    second = await books.ledger.reserve(Account("a", "t-1", "u"), FREE, asking(100))
    assert second.answer == 400
    books.ledger.settle(second, Usage(100, 150))
    error = await refusal(books.ledger, Account("a", "t-1", "u"), asking(100))
    assert error.as_json() | {"message": "", "hint": ""} == {
        "error": "guard_tokens_per_trace",
        "message": "",
        "hint": "",
        "limit": 2000,
        "value": 1750,
        "scope": "trace t-1",
        "retryable": False,
    }
    assert "250 tokens remain" in error.message


async def test_a_limit_on_cost_bounds_the_answer_too(books: Books) -> None:
    """USD that remain are tokens that may be answered, at the model's price."""
    books.house = Limits(max_cost_per_day=0.01)
    hold = await books.ledger.reserve(Account("a", "t-1", "u"), PRICED, asking(1000))
    assert hold.answer == 800
    books.ledger.settle(hold, Usage(1000, 600, cost=0.008))
    error = await refusal(books.ledger, Account("b", "t-2", "u"), asking(1000))
    assert (error.code, error.facts["scope"]) == ("guard_cost_per_day", "the daemon, today")
    assert "$0.0020 remain" in error.message


async def test_what_is_held_for_a_running_call_is_waited_for(books: Books) -> None:
    """A call is refused for what is spent, not for what another may yet spend."""
    books.house = Limits(max_tokens_per_day=6000)
    first = await books.ledger.reserve(Account("a", "t-1", "u"), FREE, asking(1500))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        second = group.create_task(
            books.ledger.reserve(Account("b", "t-2", "u"), FREE, asking(1500))
        )
        await asyncio.sleep(0)
        assert not second.done()
        books.ledger.settle(first, Usage(1500, 10))
    assert second.result().answer == 6000 - 1510 - 1500
    third = asyncio.timeout(0.05)
    with pytest.raises(TimeoutError):
        async with third:
            await books.ledger.reserve(Account("c", "t-3", "u"), FREE, asking(1500))
    books.ledger.settle(second.result(), Usage(1500, 2900))
    error = await refusal(books.ledger, Account("c", "t-3", "u"), asking(1500))
    assert error.facts["value"] == 5910


async def test_what_costs_nothing_passes_a_limit_on_cost(books: Books) -> None:
    """The built-in model is free; a model without a price is refused, for nobody can count it."""
    books.house = Limits(max_cost_per_day=0.01)
    assert (await books.ledger.reserve(Account("a", "t"), FREE, asking(9))).answer == 4096
    with pytest.raises(GuardRefused, match="price of 'x' of 't' is not known"):
        await books.ledger.reserve(Account("a", "t"), Source("t", "x"), asking(9))


async def test_the_operators_own_turn_counts_and_is_never_stopped(books: Books) -> None:
    """Only a purse that was given to the very trace stops it."""
    books.house = Limits(max_tokens_per_day=1000)
    own = Account("a", "t-1", "u", own=True)
    for _ in range(3):
        hold = await books.ledger.reserve(own, FREE, asking(500))
        assert hold.answer == 4096
        books.ledger.settle(hold, Usage(500, 100))
    error = await refusal(books.ledger, Account("a", "t-1", "u"), asking(1))
    assert error.facts["value"] == 1800
    asked = Account("a", "t-9", "u", own=True, budget=Budget(max_tokens=700))
    books.ledger.settle(await books.ledger.reserve(asked, FREE, asking(300)), Usage(300, 300))
    error = await refusal(books.ledger, asked, asking(100))
    assert (error.code, error.facts["limit"]) == ("guard_tokens_per_trace", 700)


async def test_the_stricter_of_purse_and_limit_holds(books: Books) -> None:
    """A trace's own purse does not lift the configuration's limit, nor the other way round."""
    books.house = Limits(max_tokens_per_trace=1000)
    wide = Account("a", "t-1", budget=Budget(max_tokens=5000))
    tight = Account("a", "t-2", budget=Budget(max_tokens=600))
    assert (await books.ledger.reserve(wide, FREE, asking(400))).answer == 600
    assert (await books.ledger.reserve(tight, FREE, asking(300))).answer == 300


async def test_children_draw_on_their_makers_purse(books: Books) -> None:
    """A created session has no day of its own: it spends its creator's."""
    books.limits = dict.fromkeys(("a", "child"), Limits(max_tokens_per_day=1000))
    books.payers = {"child": "a"}
    hold = await books.ledger.reserve(Account("child", "t-1"), FREE, asking(500))
    books.ledger.settle(hold, Usage(500, 400))
    error = await refusal(books.ledger, Account("a", "t-2"), asking(100))
    assert (error.facts["value"], error.facts["scope"]) == (900, "session a, today")
    other = await books.ledger.reserve(Account("other", "t-3"), FREE, asking(100))
    assert other.answer is None


async def test_a_limit_is_warned_of_once(books: Books) -> None:
    """80 % and 100 % are told of when they are passed, and never again."""
    books.house = Limits(max_tokens_per_day=1000)
    for spent in (700, 99, 1, 100, 150):
        hold = await books.ledger.reserve(Account("a", "t", own=True), FREE, asking(1))
        books.ledger.settle(hold, Usage(spent, 0))
    low, gone = books.notices("budget_low"), books.notices("budget_spent")
    assert low == ["the daemon, today: 80% of the budget: 800 tokens of 1,000 tokens"]
    assert len(gone) == 1
    assert "1,050 tokens of 1,000 tokens; autonomous turns stop" in gone[0]


async def test_an_edit_of_the_limits_counts_at_once(books: Books) -> None:
    """A limit that is lowered refuses the next call, one that is raised lets it through."""
    books.ledger.settle(
        await books.ledger.reserve(Account("a", "t"), FREE, asking(1)), Usage(5000, 0)
    )
    books.house = Limits(max_tokens_per_day=4000)
    error = await refusal(books.ledger, Account("a", "t"), asking(1))
    assert error.facts["limit"] == 4000
    books.house = Limits(max_tokens_per_day=8000)
    assert (await books.ledger.reserve(Account("a", "t"), FREE, asking(1))).answer == 2999


async def test_a_refused_line_is_no_reservation(books: Books) -> None:
    """When the reservation cannot be kept the call is not made, and nothing stays held."""
    books.house = Limits(max_tokens_per_day=9000)
    await books.writer.close()
    account = Account("a", "t")
    with pytest.raises(Exception, match="closed"):
        await books.ledger.reserve(account, FREE, asking(1))
    (bound,) = books.ledger.day_bounds("a")
    assert (bound.purse.tokens, bound.purse.held_tokens, bound.purse.calls) == (0, 0, 0)


@settings(max_examples=40, deadline=None)
@given(
    limit=st.integers(1, 20_000),
    calls=st.lists(
        st.tuples(st.integers(0, 2000), st.integers(1, 3000), st.floats(0, 1)),
        min_size=1,
        max_size=30,
    ),
)
async def test_many_at_once_never_overdraw(
    tmp_path_factory: pytest.TempPathFactory,
    limit: int,
    calls: list[tuple[int, int, float]],
) -> None:
    """However many sessions race for one purse: spent and held together never pass the limit."""
    writer = Writer()
    writer.start()
    books = Books(tmp_path_factory.mktemp("books"), writer)
    books.house = Limits(max_tokens_per_day=limit)
    refused = 0

    async def one(number: int, tokens: int, longest: int, share: float) -> None:
        nonlocal refused
        account = Account(f"s{number % 5}", f"t{number % 3}", "u")
        try:
            hold = await books.ledger.reserve(account, FREE, asking(tokens, longest))
        except GuardRefused:
            refused += 1
            return
        (bound,) = books.ledger.day_bounds("a")
        assert bound.purse.used("tokens") <= limit
        await asyncio.sleep(0)
        books.ledger.settle(hold, Usage(tokens, int((hold.answer or 0) * share)))
        assert bound.purse.used("tokens") <= limit

    async with asyncio.TaskGroup() as group:
        for number, call in enumerate(calls):
            group.create_task(one(number, *call))
    (bound,) = books.ledger.day_bounds("a")
    assert bound.purse.held_tokens == 0
    assert bound.purse.tokens <= limit
    await writer.close()


@given(marks=st.lists(st.integers(0, 50), max_size=60), limit=st.integers(1, 500))
def test_each_mark_is_passed_at_most_once(marks: list[int], limit: int) -> None:
    """Whatever is spent in whatever steps: 80 % and all are each passed once, and in that order."""
    purse = Purse()
    bound = Bound("tokens_per_day", purse, "tokens", limit, "", "")
    passed = []
    for spent in marks:
        before = purse.spent("tokens")
        purse.spend(Usage(spent, 0))
        passed.append(bound.passed(before))
    told = [mark for mark in passed if mark]
    assert told == sorted(set(told))
    assert (1.0 in told) == (purse.tokens >= limit)


async def test_an_attempt_that_broke_off_is_paid_too(books: Books) -> None:
    """An answer that was cut in the middle and asked for again costs twice, the lost part ~."""
    async with ScriptedModel() as scripted:
        scripted.script("m", [cut("Half of an answer"), say("Half of an answer and the rest")])
        pool = ModelPool(Patience(backoff=0.01))
        model = Metered(
            pool.model(scripted.url), books.ledger, Account("a", "t-1"), "t", {}, free=False
        )
        items = [item async for item in model.stream(ChatRequest("m", (user("go"),)))]
        await pool.close()
    assert isinstance(items[-1], Reply)
    used = books.ledger.totals.session("a")
    assert used == items[-1].usage
    assert used.estimated
    assert used.input_tokens > 100
    assert used.output_tokens > 10


async def test_attempts_that_all_broke_off_are_paid_each(books: Books) -> None:
    """Text or only a tool call had begun: each request counts, and the turn hears the same."""
    told: list[Usage] = []
    async with ScriptedModel() as scripted:
        scripted.script("m", [cut_in_arguments("list_agents", '{"qu')] * 8)
        pool = ModelPool(Patience(backoff=0.01))
        account = Account("a", "t-1", lost=lambda _, usage: told.append(usage))
        model = Metered(pool.model(scripted.url), books.ledger, account, "t", {}, free=False)
        with pytest.raises(ProviderError):
            async for _ in model.stream(ChatRequest("m", (user("go"),))):
                pass
        await pool.close()
        attempts = len(scripted.requests)
    (whole,) = told
    used = books.ledger.totals.session("a")
    assert used == whole
    assert used.estimated
    assert attempts > 1
    assert used.input_tokens % attempts == 0
    assert used.input_tokens > 0
