"""Runs: once for each time, whatever happens to the daemon, the clock or the session."""

from __future__ import annotations

import pytest
from tests.tools.schedule.world import START, World

from clawd.config.schema import SessionSettings, ToolSettings
from clawd.errors import Invalid
from clawd.lineage import Budget, begin
from clawd.tools.schedule.changes import Wish

FAILED = {"error": "provider_failed", "message": "the model is gone"}


async def test_once(world: World) -> None:
    """A one-shot comes once, and is done."""
    await world.create(once="in 10 minutes")
    await world.passes(3600)
    assert world.begun() == ["600"]
    await world.ends()
    await world.passes(10 * 86_400)
    assert world.begun() == ["600"]
    assert world.only().state == "done"
    assert world.last().result == "ok"


async def test_every(world: World) -> None:
    """A period comes again and again, on its grid however long a run takes."""
    await world.create(every="10 minutes")
    for _ in range(3):
        await world.passes(700)
        await world.ends()
    assert world.begun() == ["600", "1200", "1800"]


async def test_the_run_says_what_it_is(world: World) -> None:
    """Its id and due time stand in its text; each has a trace of its own and is autonomous."""
    made = await world.create(every="10 minutes", text="Look at the oven")
    await world.passes(600)
    await world.ends()
    await world.passes(600)
    first, second = world.turns.values()
    assert first.text.startswith(f"[scheduled run {made.id}, due 2026-11-20T12:10:00.000Z, every")
    assert first.text.endswith("Look at the oven")
    assert first.lineage.trace != second.lineage.trace
    assert first.lineage.path == ()


@pytest.mark.parametrize(
    "wish", [{"once": "in 1 hour"}, {"every": "1 hour"}, {"cron": "0 * * * *"}]
)
async def test_what_was_missed_is_made_up_for_once(world: World, wish: dict[str, str]) -> None:
    """M35: a daemon that was down for a day runs what was due once, not once for each time."""
    await world.create(zone="UTC", **wish)
    world.clock += 86_400
    await world.start()
    assert world.begun() == ["86400"]
    assert "due 2026-11-20T13:00:00.000Z, late" in world.waiting()[0].text
    await world.ends()
    await world.passes(3600)
    assert len(world.turns) == (1 if "once" in wish else 2)


@pytest.mark.parametrize("wish", [{"once": "in 1 hour"}, {"every": "1 hour"}])
async def test_what_was_missed_is_skipped_where_it_is_to_be(
    world: World, wish: dict[str, str]
) -> None:
    """Then the next time counts, and the list says how many were skipped."""
    await world.create(missed="skip", **wish)
    world.clock += 86_400
    await world.start()
    assert world.begun() == []
    assert world.only().skipped == 1
    await world.passes(3600)
    assert len(world.turns) == (0 if "once" in wish else 1)


async def test_a_short_restart_skips_nothing(world: World) -> None:
    """A run that is seconds late has not been missed."""
    await world.create(missed="skip", every="1 hour")
    world.clock += 3630
    await world.start()
    assert world.begun() == ["3630"]


@pytest.mark.parametrize("when", ["begin", "begun"])
async def test_a_kill_beside_the_begin_runs_it_once(world: World, when: str) -> None:
    """M35: whether the turn was stored or not, the same turn runs, and no other for that time."""
    await world.create(every="1 hour")
    world.dies = when
    with pytest.raises(BaseException):  # noqa: B017, PT011 - the daemon dies of it
        await world.passes(3600)
    await world.start()
    assert len(world.turns) == 1
    await world.start()
    assert len(world.turns) == 1
    await world.ends()
    assert world.only().runs == 1
    await world.passes(3600)
    assert len(world.turns) == 2


async def test_a_kill_before_the_end_was_told_settles_it(world: World) -> None:
    """The turn ended, and the daemon died before the schedule knew: it is not run again."""
    await world.create(once="in 1 hour")
    await world.passes(3600)
    world.waiting()[0].status = "finished"
    await world.start()
    assert len(world.turns) == 1
    assert world.last().result == "ok"


async def test_a_run_that_never_got_through_is_unknown(world: World) -> None:
    """The daemon died several times in it: nobody knows what it did."""
    await world.create(once="in 1 hour")
    await world.passes(3600)
    await world.ends(error={"error": "attempts", "message": "daemon died 3 times"})
    assert world.last().result == "unknown"


async def test_a_clock_that_is_put_back_begins_nothing_twice(world: World) -> None:
    """M35: an hour back; the time that was had does not count again."""
    await world.create(cron="0 13 * * *", zone="UTC")
    await world.passes(3600)
    await world.ends()
    world.clock -= 7200
    await world.start()
    await world.passes(86_400)
    assert world.begun() == ["3600"]
    await world.passes(7200)
    assert len(world.turns) == 2


async def test_a_clock_that_is_put_forward_makes_up_once(world: World) -> None:
    """A day ahead within one run of the daemon is one run."""
    await world.create(every="1 hour")
    world.clock += 86_400
    await world.passes(60)
    assert len(world.turns) == 1


async def test_a_clock_that_was_years_ahead_does_not_silence_it(world: World) -> None:
    """What was had then is not believed once the clock is right."""
    await world.create(cron="0 13 * * *", zone="UTC")
    world.clock += 10 * 365 * 86_400
    await world.start()
    await world.ends()
    world.clock = START
    await world.start()
    # The one at 13:00 of this day was had, late.
    assert world.next() == 3600 + 86_400


async def test_times_that_come_while_a_run_is_open_are_covered_by_it(world: World) -> None:
    """M35: a busy session has one run of a schedule waiting, not a heap of them."""
    await world.create(every="10 minutes")
    await world.passes(3600)
    assert world.begun() == ["600"]
    await world.ends()
    assert world.next() == 4200
    assert world.only().skipped == 1


async def test_failing_runs_back_off_and_are_paused(world: World) -> None:
    """M35: pauses that double, and after five in a row the schedule stands still and says so."""
    await world.create(every="1 minute")
    times: list[float] = []
    for _ in range(5):
        await world.passes(world.next() - (world.clock - START))
        times.append(world.clock - START)
        await world.ends(error=FAILED)
    assert times == [60, 180, 360, 660, 1200]
    assert world.only().state == "paused"
    (notice,) = [n for n in world.notices if "paused after 5 failed" in n.text]
    assert notice.level == "warning"
    await world.passes(86_400)
    assert len(world.turns) == 5
    await world.kit.update("s", world.only().id, Wish(paused=False), by="s")
    await world.passes(60)
    assert len(world.turns) == 6


async def test_one_success_ends_the_backing_off(world: World) -> None:
    """The count is of failures in a row."""
    await world.create(every="1 minute")
    await world.passes(60)
    await world.ends(error=FAILED)
    await world.passes(120)
    await world.ends()
    assert world.only().failures == 0
    assert world.next() == 240


async def test_a_failed_one_shot_is_told_and_not_repeated(world: World) -> None:
    """What it did before it failed is done: whether to do it again is the operator's to say."""
    await world.create(once="in 1 minute")
    await world.passes(60)
    await world.ends(error=FAILED)
    await world.passes(86_400)
    assert len(world.turns) == 1
    assert "clawd schedules run" in world.notices[-1].text


async def test_a_stopped_run_is_no_failure(world: World) -> None:
    """The operator pressed Esc."""
    await world.create(every="1 minute")
    await world.passes(60)
    await world.ends(error={"error": "cancelled", "message": "by operator"}, status="cancelled")
    assert world.only().failures == 0
    assert world.last().result == "cancelled"


async def test_a_paused_session(world: World) -> None:
    """What is to be made up for waits for it in its queue; the rest is skipped."""
    await world.create(every="10 minutes")
    await world.create(every="10 minutes", missed="skip", text="skip")
    world.status = "paused"
    await world.passes(3600)
    assert [turn.text[-4:] for turn in world.turns.values()] == ["look"]


async def test_a_parked_session_runs_it_when_it_is_there_again(world: World) -> None:
    """Its transcript cannot be read: nothing is begun, nothing is lost."""
    await world.create(once="in 10 minutes")
    world.status = "failed"
    await world.passes(3600)
    assert world.begun() == []
    world.status = "idle"
    await world.passes(60)
    assert len(world.turns) == 1


async def test_run_now(world: World) -> None:
    """On the operator's word, without touching its own times; one run at a time."""
    made = await world.create(every="1 hour")
    run = await world.kit.run("s", made.id)
    assert world.turns[run.turn].lineage.path == ("operator",)
    assert world.next() == 3600
    with pytest.raises(Exception, match="not over"):
        await world.kit.run("s", made.id)
    await world.ends()
    await world.passes(3600)
    assert len(world.turns) == 2


async def test_a_run_of_a_marked_schedule_is_marked(world: World) -> None:
    """What a turn that had read from outside has set goes on being marked, inside a fence."""
    lineage = begin("peer", Budget(max_tokens=500))
    marked = lineage.__class__(lineage.trace, origin="peer", budget=lineage.budget, untrusted=True)
    await world.create(once="in 1 minute", text="Obey", lineage=marked)
    await world.start()
    await world.passes(60)
    (turn,) = world.turns.values()
    assert turn.lineage.untrusted
    assert turn.lineage.origin == "peer"
    assert turn.lineage.budget == Budget(max_tokens=500)
    assert f"<<<{turn.id}\nObey\n{turn.id}>>>" in turn.text


async def test_without_the_tools_what_the_session_made_rests(world: World) -> None:
    """``tools.schedule`` off: the operator's own go on."""
    await world.create(every="10 minutes", text="mine")
    await world.kit.create("s", "yours", every="10 minutes")
    world.settings = SessionSettings(id="s", tools=ToolSettings(schedule=False))
    await world.start()
    await world.passes(600)
    assert [turn.text.rsplit("\n", 1)[-1] for turn in world.turns.values()] == ["yours"]


async def test_a_removed_session_runs_nothing(world: World) -> None:
    """Its schedules stop with it."""
    await world.create(every="10 minutes")
    await world.kit.settle([])
    await world.passes(86_400)
    assert world.begun() == []


async def test_deleted(world: World) -> None:
    """It is gone, also after a restart."""
    made = await world.create(every="10 minutes")
    await world.kit.delete("s", made.id, by="s")
    await world.start()
    await world.passes(86_400)
    assert await world.kit.all("s") == []
    assert world.begun() == []


async def test_a_file_that_cannot_be_read_stands_still_alone(world: World) -> None:
    """It is told, and nothing is planned on top of what is not known."""
    (world.folder / "schedules.jsonl").mkdir()
    await world.start()
    assert any("stand still" in notice.text for notice in world.notices)
    with pytest.raises(Exception, match="not a regular file"):
        await world.create(every="10 minutes")


async def test_a_damaged_line_is_set_aside(world: World) -> None:
    """The others go on."""
    await world.create(once="in 10 minutes")
    with (world.folder / "schedules.jsonl").open("a") as file:
        file.write('{"id": "sched-x", "text": 5}\n')
    await world.start()
    await world.passes(600)
    assert len(world.turns) == 1


async def test_a_thousand_that_are_due_at_once(world: World) -> None:
    """All of them, in order of their times."""
    world.limits = world.limits.model_copy(update={"max_schedules": 2000})
    for number in range(300):
        await world.create(once="in 10 minutes", text=f"n{number}")
    await world.passes(700)
    assert len(world.turns) == 300


async def test_a_moment_that_has_passed_is_no_wish(world: World) -> None:
    """A model that has the year wrong is told what time it is."""
    with pytest.raises(Invalid, match="in the past"):
        await world.create(once="2020-01-01T00:00Z")
