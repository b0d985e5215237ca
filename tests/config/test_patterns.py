"""Patterns of ``tools.approval``: what they fit, and what no rule for a command lets through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.config.patterns import just_this, read

COMMAND = {"command": "git log -3", "network": False}


@pytest.mark.parametrize(
    ("pattern", "tool", "arguments", "fits"),
    [
        ("exec", "exec", COMMAND, True),
        ("exec", "exec_start", COMMAND, False),
        ("exec*", "exec_start", COMMAND, True),
        ("exec(git *)", "exec", COMMAND, True),
        ("exec(git)", "exec", COMMAND, False),
        ("exec(network=false)", "exec", COMMAND, True),
        ("exec(network=true)", "exec", COMMAND, False),
        ("exec(absent=*)", "exec", COMMAND, False),
        ("list_agents(*)", "list_agents", {}, False),
        ("write_file(notes/?.md)", "write_file", {"path": "notes/a.md"}, True),
        ("write_file(notes/[*].md)", "write_file", {"path": "notes/*.md"}, True),
        ("write_file(notes/[*].md)", "write_file", {"path": "notes/a.md"}, False),
        ("write_file(a\n*)", "write_file", {"path": "a\nb"}, True),
        ('x(tags=[[]"a"])', "x", {"tags": ["a"]}, True),
    ],
)
def test_what_fits(pattern: str, tool: str, arguments: dict[str, Any], fits: bool) -> None:
    """A name, the first parameter, a named one; stars and question marks; JSON for the rest."""
    assert read(pattern).fits(tool, arguments, allows=False) is fits


@pytest.mark.parametrize("pattern", ["", "  ", "(x)", "a(b", "a)b("])
def test_what_is_no_pattern(pattern: str) -> None:
    """Without a tool, or with a parenthesis that is never closed, it is said to be wrong."""
    with pytest.raises(ValueError, match="is not of the form"):
        read(pattern)


@pytest.mark.parametrize(
    "command",
    [
        "git log; rm -r .", "git log && x", "git log | sh", "git log $(x)", "git log `x`",
        "git log > f", "git log\nx", "git log \\\nx", "git log & x", "git log <(x)",
    ],
)  # fmt: skip
def test_an_allow_lets_no_second_command_through(command: str) -> None:
    """What a shell acts on is not what a star stands for; a deny and an ask still fit."""
    given = {"command": command}
    assert not read("exec(git *)").fits("exec", given, allows=True)
    assert read("exec(git *)").fits("exec", given, allows=False)


@given(st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), st.text(), max_size=3), st.text())
def test_a_rule_for_just_this_fits_just_this(arguments: dict[str, str], other: str) -> None:
    """*Always* makes a pattern that fits the call it was made for, and no other first argument."""
    pattern = read(just_this("tool", arguments))
    assert pattern.fits("tool", arguments, allows=True)
    if arguments:
        first = next(iter(arguments))
        changed = arguments | {first: other}
        assert pattern.fits("tool", changed, allows=True) is (other == arguments[first])
