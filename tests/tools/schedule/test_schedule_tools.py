"""The four tools, as a model calls them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tools.schedule.world import World

from clawd.agent.tool import Answer
from clawd.agent.trust import Trust
from clawd.agent.workbench import Place, Workbench
from clawd.config.limits import Limits
from clawd.config.schedules import ScheduleEntry
from clawd.config.schema import SessionSettings, ToolSettings
from clawd.errors import ClawdError
from clawd.lineage import begin
from clawd.tools.schedule.changes import Wish


async def call(world: World, name: str, *, trust: Trust | None = None, **arguments: Any) -> Answer:
    """Call a tool in a turn of the session."""
    bench = Workbench("s", world.folder, world.settings, begin(), "turn-1", trust=trust or Trust())
    return await world.kit.tools(bench)[name].call(arguments)


async def refused(world: World, name: str, **arguments: Any) -> str:
    """The code with which a call is refused."""
    with pytest.raises(ClawdError) as error:
        await call(world, name, **arguments)
    assert error.value.hint
    return error.value.code


async def test_make_look_change_delete(world: World) -> None:
    """All four in a row; what is left out of a change stays."""
    made = await call(world, "schedule_create", text="Look", every="1 hour", zone="Europe/Berlin")
    assert made.facts is not None
    name = made.facts["id"]
    assert "every 1 hour" in made.text
    changed = await call(world, "schedule_update", schedule_id=name, cron="0 8 * * *", zone="UTC")
    assert changed.facts is not None
    assert (changed.facts["text"], changed.facts["next"]) == ("Look", "2026-11-21T08:00:00.000Z")
    again = await call(world, "schedule_update", schedule_id=name, zone="Asia/Tokyo")
    assert again.facts is not None
    assert (again.facts["cron"], again.facts["next"]) == ("0 8 * * *", "2026-11-20T23:00:00.000Z")
    paused = await call(world, "schedule_update", schedule_id=name, paused=True)
    assert paused.facts is not None
    assert paused.facts["state"] == "paused"
    listed = await call(world, "schedule_list")
    assert listed.text.startswith(f"1 schedule:\n- {name}: paused, cron 0 8 * * * (Asia/Tokyo)")
    await call(world, "schedule_delete", schedule_id=name)
    assert (await call(world, "schedule_list")).text == "No schedules."


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"text": "x"}, "invalid_schedule"),
        ({"text": "x", "every": "1 hour", "cron": "* * * * *"}, "invalid_schedule"),
        ({"text": " ", "every": "1 hour"}, "empty_text"),
        ({"text": "x\0", "every": "1 hour"}, "invalid_text"),
        ({"text": "x" * 16_385, "every": "1 hour"}, "too_large"),
        ({"text": "x", "every": "59 seconds"}, "too_often"),
        ({"text": "x", "every": "often"}, "invalid_period"),
        ({"text": "x", "once": "2020-01-01T00:00Z"}, "in_the_past"),
        ({"text": "x", "once": "soon"}, "invalid_time"),
        ({"text": "x", "cron": "0 0 31 2 *"}, "cron_never"),
        ({"text": "x", "cron": "a b c d e"}, "invalid_cron"),
        ({"text": "x", "cron": "0 8 * * *", "zone": "Mars"}, "unknown_zone"),
        ({"text": "x", "every": "1 hour", "missed": "maybe"}, "invalid_missed"),
        ({"text": "x", "every": 5}, "invalid_arguments"),
    ],
)
async def test_bad_wishes(world: World, arguments: dict[str, Any], code: str) -> None:
    """Each gives one clear error with the mend, and makes nothing."""
    assert await refused(world, "schedule_create", **arguments) == code
    assert await world.kit.all("s") == []


async def test_a_cron_line_is_bound_by_the_shortest_pace_too(world: World) -> None:
    """An operator who allows one run an hour means every kind of schedule."""
    world.limits = Limits(min_schedule_seconds=3600)
    assert await refused(world, "schedule_create", text="x", cron="*/30 * * * *") == "too_often"
    await call(world, "schedule_create", text="x", cron="30 * * * *")


async def test_the_number_is_bounded(world: World) -> None:
    """Done ones do not count; the refusal is a guard's."""
    world.limits = Limits(max_schedules=2)
    for _ in range(3):
        await call(world, "schedule_create", text="x", once="in 1 minute")
        await world.passes(60)
        await world.ends()
    await call(world, "schedule_create", text="x", every="1 hour")
    await call(world, "schedule_create", text="x", every="1 hour")
    assert await refused(world, "schedule_create", text="x", every="1 hour") == "guard_schedules"


async def test_only_so_many_that_are_done_are_kept(world: World) -> None:
    """The oldest go."""
    for _ in range(60):
        await call(world, "schedule_create", text="x", once="in 1 minute")
        await world.passes(60)
        await world.ends()
    assert len(await world.kit.all("s")) == 50
    await world.start()
    assert len(await world.kit.all("s")) == 50


async def test_what_the_operator_set_is_the_operators(world: World) -> None:
    """A session sees it, and changes or deletes neither what is in config.json nor what is not."""
    entry = ScheduleEntry(id="morning", text="Good morning", cron="0 8 * * *")
    world.settings = SessionSettings(id="s", schedules=(entry,))
    await world.kit.settle([Place(world.settings, world.folder)])
    made = await world.kit.create("s", "Yours", every="1 hour")
    listed = await call(world, "schedule_list")
    assert "Good morning" in listed.text
    assert "Yours" in listed.text
    for name, code in (("morning", "configured"), (made.id, "not_yours")):
        assert await refused(world, "schedule_update", schedule_id=name, paused=True) == code
        assert await refused(world, "schedule_delete", schedule_id=name) == code


async def test_what_a_marked_turn_sets_is_marked(world: World) -> None:
    """And whoever lists it has read text from outside."""
    trust = Trust()
    trust.mark("web_fetch")
    await call(world, "schedule_create", trust=trust, text="x", every="1 hour")
    assert world.only().untrusted
    later = Trust()
    await call(world, "schedule_list", trust=later)
    assert later.untrusted


async def test_a_change_in_a_marked_turn_marks_it(world: World) -> None:
    """Only the operator's own text takes the mark away."""
    made = await world.create(every="1 hour")
    trust = Trust()
    trust.mark("web_fetch")
    await call(world, "schedule_update", trust=trust, schedule_id=made.id, every="2 hours")
    assert world.only().untrusted
    await call(world, "schedule_update", schedule_id=made.id, every="1 hour")
    assert world.only().untrusted
    await world.kit.update("s", made.id, Wish(text="Mine now"))
    assert not world.only().untrusted


async def test_unknown_ids_name_the_nearest(world: World) -> None:
    """As everywhere."""
    made = await world.create(every="1 hour")
    with pytest.raises(ClawdError) as error:
        await call(world, "schedule_delete", schedule_id=made.id[:-1])
    assert error.value.code == "unknown_schedule"
    assert made.id in error.value.hint


async def test_without_the_setting_there_are_no_tools(world: World) -> None:
    """``tools.schedule`` is false."""
    settings = SessionSettings(id="s", tools=ToolSettings(schedule=False))
    bench = Workbench("s", world.folder, settings, begin(), "turn-1")
    assert world.kit.tools(bench) == {}


async def test_entries_of_the_configuration(world: World) -> None:
    """They come, change and go with the file; pausing one outlives a restart."""

    async def configure(*entries: ScheduleEntry) -> None:
        world.settings = SessionSettings(id="s", schedules=entries)
        await world.kit.settle([Place(world.settings, world.folder)])

    await configure(ScheduleEntry(id="tick", text="a", every="1 hour"))
    await world.passes(3600)
    await world.ends()
    assert world.next() == 7200
    await configure(ScheduleEntry(id="tick", text="b", every="1 hour"))
    assert (world.only().text, world.next()) == ("b", 7200)
    await configure(ScheduleEntry(id="tick", text="b", every="2 hours"))
    assert world.next() == 3600 + 7200
    await world.kit.update("s", "tick", Wish(paused=True))
    await world.start()
    assert world.only().state == "paused"
    await world.kit.update("s", "tick", Wish(paused=False))
    await configure(ScheduleEntry(id="tick", text="b", every="2 hours", enabled=False))
    await world.passes(86_400)
    assert len(world.turns) == 1
    await configure()
    assert await world.kit.all("s") == []


async def test_a_moment_of_the_configuration_comes_once(world: World) -> None:
    """M35: also when it passed before the daemon ever saw it, and not again after a start."""
    entry = ScheduleEntry(id="party", text="x", once="2026-11-20T11:00:00Z")
    world.settings = SessionSettings(id="s", schedules=(entry,))
    await world.start()
    assert len(world.turns) == 1
    await world.ends()
    await world.start()
    await world.passes(86_400)
    assert len(world.turns) == 1
