"""The status line and the numbers in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawd.cli.chat.statusline import Standing, status_line
from clawd.cli.times import age, count, duration, money

FULL = Standing("default", "offline", 12_400, 128_000, 0.06, 2, 1, 900.0)


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (80, "default · offline · 12.4k/128k 10% · $0.06 · ✉2 · ⚙1 · 15m"),
        (57, "default · offline · 12.4k/128k 10% · $0.06 · ✉2 · ⚙1"),
        (50, "default · offline · 12.4k/128k 10% · $0.06 · ✉2"),
        (45, "default · offline · 12.4k/128k 10% · ✉2"),
        (30, "default · offline · ✉2"),
        (10, "default ·…"),
    ],
)
def test_it_sheds_from_the_right(columns: int, line: str) -> None:
    """On a narrow terminal facts go from the right; session, model and unread mail stay."""
    assert status_line(FULL, columns) == line


def test_what_is_nothing_is_not_shown() -> None:
    """No mail, no tasks, no cost: no mark for them."""
    assert status_line(Standing("a", "gpt", 0, 0, None, 0, 0, 5.0), 80) == "a · gpt · 5s"


def test_a_session_that_stands_still_says_so_to_the_last() -> None:
    """The word "paused" is behind the name, and stays on a narrow terminal."""
    paused = replace(FULL, paused=True)
    assert status_line(paused, 80).startswith("default · paused · offline · ")
    assert status_line(paused, 34) == "default · paused · offline · ✉2"


def test_amounts() -> None:
    """Lengths of time, tokens, money and ages in a few characters."""
    assert [duration(s) for s in (0, 59, 60, 3600 * 3 + 720, 90000)] == [
        "0s", "59s", "1m", "3h12m", "1d01h",
    ]  # fmt: skip
    assert [count(n) for n in (0, 812, 12_400, 128_000, 1_200_000)] == [
        "0", "812", "12.4k", "128k", "1.2M",
    ]  # fmt: skip
    assert [money(m) for m in (None, 0.0, 0.06, 0.0004)] == ["", "", "$0.06", "$0.0004"]
    assert age("2026-11-20T23:46:26.123Z", 1795218386.123 + 60) == "1m"
    assert age(None) == ""
