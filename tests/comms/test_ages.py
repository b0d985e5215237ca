"""Ages and ids: what the clock is set to while the daemon runs makes nothing older or younger."""

from __future__ import annotations

import time

import pytest

from clawd import ids
from clawd.comms.ages import Ages
from clawd.ids import follow, new_id, now, steady, timestamp

HOURS = 3600.0


@pytest.mark.parametrize("hours", [-2.0, 30.0])
def test_a_clock_that_is_set_ages_nothing(monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """F17: neither what was stamped before nor what is stamped after changes its age."""
    ages = Ages()
    before = now()
    ages.stamped("before")
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + hours * HOURS)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(hours * HOURS * 1e9))
    after = now()
    ages.stamped("after")
    assert ages.of("before", before) < 5
    assert ages.of("after", after) < 5


def test_a_time_in_the_future_counts_as_now() -> None:
    """What another clock stamped ahead of this one ages from when it is first looked at."""
    ages = Ages()
    assert ages.of("ahead", timestamp(steady() + HOURS)) == 0
    assert ages.of("ahead", timestamp(steady() + HOURS)) < 5
    assert ages.of("old", timestamp(steady() - HOURS)) >= HOURS


def test_ids_go_on_behind_those_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """F17: after a start with a clock that was set back, new ids sort after the old ones."""
    monkeypatch.setattr(ids, "_last", 0)  # and put back: other tests look at the times in ids
    ahead = new_id("msg")
    later = "msg-" + ahead[4:8] + "z" * 22
    follow([ahead, later, ""])
    made = [new_id("msg") for _ in range(3)]
    assert later < made[0] < made[1] < made[2]
    follow(["msg-" + "7" + "z" * 25, "msg-short", "no id", "msg-" + "u" * 26])
    assert new_id("msg") < "msg-02"
