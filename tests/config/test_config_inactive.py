"""Keys of parts to come: accepted, and named as doing nothing."""

from __future__ import annotations

from clawd.config.loader import check

BUDGETS = """{
  "maxTokensPerTrace": 1, "maxTokensPerDay": 2, "maxCostPerTrace": 3, "maxCostPerDay": 4,
  "maxHops": 5
}"""


def test_budgets_are_named_as_doing_nothing() -> None:
    """A budget that nothing enforces must not look like a bound, at the top or in a session."""
    text = f'{{"limits": {BUDGETS}, "sessions": {{"a": {{"limits": {BUDGETS}}}}}}}'
    checked = check(text, environ={}, home=None)
    checked.require()
    keys = ("maxCostPerDay", "maxCostPerTrace", "maxTokensPerDay", "maxTokensPerTrace")
    places = ("limits", "sessions.a.limits")
    assert checked.inactive == [f"{place}.{key}" for place in places for key in keys]


def test_a_budget_of_null_asks_for_nothing() -> None:
    """``null`` is no limit, which is what there is."""
    checked = check('{"limits": {"maxTokensPerDay": null}}', environ={}, home=None)
    checked.require()
    assert checked.inactive == []
