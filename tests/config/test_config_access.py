"""Rules of ``a2a.access`` that cannot mean what they say are found when the file is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawd.config.loader import Problem, check


def problems(*rules: dict[str, Any]) -> list[Problem]:
    """What is wrong with these rules of a session ``x``, beside which there is ``worker``."""
    sessions = {"x": {"a2a": {"access": list(rules)}}, "worker": {}}
    return check(json.dumps({"sessions": sessions}, indent=1), environ={}, home=None).problems


@pytest.mark.parametrize(
    ("rule", "key", "words"),
    [
        ({"from": "../x", "allow": True}, "from", "matches no session id"),
        ({"from": "ａ", "allow": True}, "from", "matches no session id"),  # noqa: RUF001
        ({"from": "operator", "allow": False}, "from", "may do everything"),
        ({"from": "", "allow": True}, "from", "must not be empty"),
        ({"rights": [], "allow": True}, "rights", "must not be empty"),
        ({"rights": ["sent"], "allow": True}, "rights[0]", "Did you mean send?"),
        ({"from": "worker"}, "allow", "is required and missing"),
        ({"allow": "no"}, "allow", "must be true or false"),
    ],
)
def test_errors_name_the_rule(rule: dict[str, Any], key: str, words: str) -> None:
    """Path, line and mend of the very rule."""
    (error,) = problems(rule)
    assert error.severity == "error"
    assert error.path == f"sessions.x.a2a.access[0].{key}"
    assert words in str(error)
    assert error.line > 4


@pytest.mark.parametrize(
    ("rules", "path", "words"),
    [
        ([{"from": "wroker", "allow": True}], "access[0].from", "Did you mean 'worker'?"),
        ([{"from": "later-1", "allow": True}], "access[0].from", "made at run time"),
        ([{"from": "x", "allow": True}], "access[0].from", "this session itself"),
        (
            [{"allow": False}, {"from": "worker", "allow": True}],
            "access[1]",
            "never decides: access[0]",
        ),
        (
            [
                {"from": "w*", "organization": "*", "allow": False},
                {"from": "worker", "allow": True},
            ],
            "access[1]",
            "never decides",
        ),
    ],
)
def test_what_may_be_meant_is_a_warning(rules: list[dict[str, Any]], path: str, words: str) -> None:
    """It loads, and the operator hears of it."""
    (warning,) = problems(*rules)
    assert (warning.severity, warning.path) == ("warning", f"sessions.x.a2a.{path}")
    assert words in str(warning)


def test_good_rules_are_silent_and_active() -> None:
    """Patterns, organizations and an order that makes sense; nothing is reported as inactive."""
    rules = [
        {"from": "worker", "rights": ["send"], "allow": True},
        {"from": "team-*", "organization": "other", "allow": True},
        {"allow": False},
    ]
    sessions = {"x": {"a2a": {"access": rules}}, "worker": {}}
    found = check(json.dumps({"sessions": sessions}), environ={}, home=None)
    assert (found.problems, found.inactive) == ([], [])
