"""Keys of parts to come: accepted, and named as doing nothing."""

from __future__ import annotations

import pytest

from clawd.config.examples import example
from clawd.config.loader import check

BUDGETS = """{
  "maxTokensPerTrace": 1, "maxTokensPerDay": 2, "maxCostPerTrace": 3, "maxCostPerDay": 4,
  "maxHops": 5
}"""


def test_budgets_are_in_force() -> None:
    """Every key of a budget does what it says, at the top and in a session."""
    text = f'{{"limits": {BUDGETS}, "sessions": {{"a": {{"limits": {BUDGETS}}}}}}}'
    checked = check(text, environ={}, home=None)
    checked.require()
    assert checked.inactive == []


@pytest.mark.parametrize(("key", "value"), [("kind", '"code"'), ("contracts", '{"a": "b"}')])
def test_a_part_that_is_asked_for_and_not_there_is_named(key: str, value: str) -> None:
    """A key of a part that is not built yet loads, and is named with its place."""
    text = f'{{"sessions": {{"a": {{"{key}": {value}}}}}}}'
    checked = check(text, environ={}, home=None)
    checked.require()
    assert checked.inactive == [f"sessions.a.{key}"]


def test_tools_that_are_switched_off_or_left_out_are_not_named() -> None:
    """Nobody has these tools, which is what such a file wants; a default is nobody's wish."""
    off = '{"files": false, "web": false, "memory": false, "identity": [], "load": []}'
    checked = check(
        f'{{"sessions": {{"a": {{"tools": {off}}}, "b": {{}}}}}}', environ={}, home=None
    )
    checked.require()
    assert checked.inactive == []


def test_the_example_configuration_names_nothing_inactive() -> None:
    """Who starts with the example is told of no key that does nothing."""
    checked = check(example(), environ={}, home=None)
    checked.require()
    assert checked.inactive == []
