"""When a schedule is due, compared with a clock that is looked at minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawd.errors import Invalid
from clawd.ids import seconds_of, timestamp
from clawd.timing.recurrence import (
    When,
    next_after,
    read_cron,
    read_once,
    read_period,
    read_when,
    spoken,
)
from clawd.timing.zones import find_zone, local_zone

NOW = seconds_of("2026-11-20T12:00:00Z")

CHANGES = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
    "Asia/Kathmandu": ("2026-01-01", "2026-07-01"),
}
"""Zones, with the days on which their clocks change, if they do; one changes by half an hour."""


def by_hand(
    minutes: set[int], hours: set[int], zone: str, after: float, until: float
) -> list[float]:
    """Every due time of a daily line with fixed minutes and hours, from its definition.

    Each day has each of its times once: the first time the clock shows it, or, where the clock
    skips it, when the clock has been put forward.
    """
    tz = ZoneInfo(zone)
    day = datetime.fromtimestamp(after, tz).date() - timedelta(days=1)
    last = datetime.fromtimestamp(until, tz).date()
    found: set[float] = set()
    while day <= last:
        for hour in hours:
            for minute in minutes:
                face = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001
                moment = face.replace(tzinfo=tz)
                while moment.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != face:
                    face += timedelta(minutes=1)
                    moment = face.replace(tzinfo=tz)
                found.add(moment.timestamp())
        day += timedelta(days=1)
    return sorted(at for at in found if after < at <= until)


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(sorted(CHANGES)),
    change=st.sampled_from([0, 1]),
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 4), min_size=1, max_size=3),
    start=st.integers(-26 * 3600, 30 * 3600),
)
def test_every_time_of_a_daily_line_comes_once(
    zone: str, change: int, minutes: set[int], hours: set[int], start: int
) -> None:
    """M35: around every change of the clocks, from any second on: none twice, none left out."""
    day = datetime.fromisoformat(CHANGES[zone][change]).replace(tzinfo=ZoneInfo(zone))
    after = day.timestamp() + start
    until = after + 3 * 86_400
    line = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    when = When(cron=line, zone=zone)
    found: list[float] = []
    at = next_after(when, 0.0, after)
    while at is not None and at <= until:
        found.append(at)
        at = next_after(when, 0.0, at)
    assert found == by_hand(minutes, hours, zone, after, until)


def due(line: str, zone: str, after: str, count: int) -> list[str]:
    """The next times of a line, in the zone's own clock."""
    at, found = seconds_of(after), []
    for _ in range(count):
        following = next_after(When(cron=line, zone=zone), 0.0, at)
        assert following is not None
        at = following
        moment = datetime.fromtimestamp(at, ZoneInfo(zone))
        found.append(moment.isoformat(timespec="minutes"))
    return found


def test_a_time_that_the_clock_skips_comes_when_it_was_put_forward() -> None:
    """M35: 02:30 does not exist in Berlin on 2026-03-29: the run is at 03:00, once."""
    assert due("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:30+02:00",
    ]


def test_a_time_that_comes_twice_is_due_the_first_time() -> None:
    """M35: 02:30 comes twice in Berlin on 2026-10-25."""
    assert due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
    ]


def test_a_quarter_of_an_hour_stays_one_when_the_clock_changes() -> None:
    """A line without fixed hours goes by time that passes, not by the face of the clock."""
    times = due("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 9)
    moments = [datetime.fromisoformat(each).timestamp() for each in times]
    assert [b - a for a, b in pairwise(moments)] == [900.0] * 8


@settings(max_examples=200, deadline=None)
@given(
    every=st.integers(1, 10**7),
    tenths=st.booleans(),
    since=st.integers(0, 10**12),
    passed=st.integers(0, 10**10),
)
def test_a_period_keeps_its_grid(every: int, tenths: bool, since: int, passed: int) -> None:
    """The next time is later, at most a period away, on the grid, and survives being written."""
    period = max(0.1, every / 10) if tenths else float(every)
    start = since / 1000 + 10**9
    after = start + passed / 1000
    at = next_after(When(every=period), start, after)
    assert at is not None
    assert 0 < at - after <= period + 0.001
    steps = (at - start) / period
    assert abs(steps - round(steps)) * period < 0.002
    # What is read back from the file leads to the next time, never to the same one.
    again = next_after(When(every=period), start, seconds_of(timestamp(at)))
    assert again is not None
    assert again - at > period * 0.98


@pytest.mark.parametrize(
    "line",
    [
        "0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 2 */1",
    ],
)  # fmt: skip
def test_a_line_that_never_comes_is_refused(line: str) -> None:
    """It says so, in one sentence, with the mend."""
    with pytest.raises(Invalid) as refused:
        read_when(NOW, cron=line, zone="UTC")
    assert refused.value.code == "cron_never"
    assert "never comes" in refused.value.message


@pytest.mark.parametrize(
    "line",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
        "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *", "@daily", "-1 * * * *",
        "* * * * 5L/2", "* * * * MON#6", "1,,2 * * * *", "٣ * * * *", "* * * * \0", "9" * 5000,
        "* * * * " + "1," * 500 + "1",
    ],
)  # fmt: skip
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    """Whatever it is, with one clear error."""
    with pytest.raises(Invalid) as refused:
        read_cron(line)
    assert refused.value.code == "invalid_cron"
    assert len(refused.value.message) < 250


@given(st.text(alphabet="0123456789*/,-#LWMONFEB ", max_size=40))
def test_no_text_breaks_the_reader(line: str) -> None:
    """Either it is a line that comes, or it is refused."""
    try:
        when = read_when(NOW, cron=read_cron(line), zone="Europe/Berlin")
    except Invalid:
        return
    assert (next_after(when, NOW, NOW) or 0) > NOW


def test_rare_lines_come() -> None:
    """The 29 of February; the fifth Monday of a February, once in 28 years."""
    assert due("0 0 29 2 *", "UTC", "2026-11-20T00:00:00Z", 1) == ["2028-02-29T00:00+00:00"]
    assert due("0 0 * 2 MON#5", "UTC", "2026-11-20T00:00:00Z", 1) == ["2044-02-29T00:00+00:00"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90 seconds", 90), ("2 hours", 7200), ("1h 30m", 5400), ("1 hour, 30 minutes", 5400),
        ("1.5 h", 5400), ("1 week", 604_800), ("  5 MIN ", 300),
    ],
)  # fmt: skip
def test_periods_as_people_write_them(text: str, seconds: float) -> None:
    """Numbers and units, several in a row."""
    assert read_period(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "5", "5 fortnights", "-5 minutes", "0 s", "1e9 days", "400 days", "5 m x", "∞ h"],
)
def test_what_is_no_period_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(Invalid, match="period"):
        read_period(text)


def test_moments() -> None:
    """In so many minutes; with an offset; in a zone."""
    assert read_once("in 10 minutes", NOW) == NOW + 600
    assert read_once("2026-12-24T18:00+01:00", NOW) == seconds_of("2026-12-24T17:00:00Z")
    assert read_once("2026-12-24 18:00", NOW, "America/New_York") == seconds_of(
        "2026-12-24T23:00:00Z"
    )


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-12-24", "in", "in x", "2026-13-01T00:00", "9999-12-31T23:59"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """A day without a time of day neither, and nothing that is centuries away."""
    with pytest.raises(Invalid):
        read_once(text, NOW, "UTC")


@pytest.mark.parametrize(
    "wish",
    [
        {}, {"once": "in 5 minutes", "every": "1 hour"}, {"zone": "UTC"},
        {"every": "1 hour", "cron": "* * * * *"},
    ],
)  # fmt: skip
def test_one_of_three(wish: dict[str, str]) -> None:
    """Not none, and not two."""
    with pytest.raises(Invalid) as refused:
        read_when(NOW, **wish)
    assert refused.value.code == "invalid_schedule"


@pytest.mark.parametrize("name", ["Europe/Berln", "europe/berlin", "../etc/passwd", "/etc", "\0"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    """No path is one either."""
    with pytest.raises(Invalid) as refused:
        find_zone(name)
    assert refused.value.code == "unknown_zone"


def test_without_zone_data_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slim image has none: UTC works all the same."""
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    with pytest.raises(Invalid) as refused:
        find_zone("Mars/Olympus")
    assert refused.value.code == "no_zone_data"
    assert "tzdata" in refused.value.hint
    assert find_zone("utc") is UTC


def test_the_zone_of_this_machine_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment, or the system; a wrong name in the environment is passed over."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert local_zone() == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "nonsense")
    find_zone(local_zone())


def test_words() -> None:
    """A recurrence in a few words."""
    assert spoken(5400) == "90 minutes"
    assert spoken(86_400) == "1 day"
    assert spoken(0.5) == "0.5 seconds"
    assert When(cron="30 8 * * 1-5", zone="UTC").describe() == (
        "cron 30 8 * * 1-5 (UTC): At 08:30 on Monday through Friday"
    )
