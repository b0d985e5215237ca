"""What web tools may reach, and which search they use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawd.config.loader import check


def problems(tools: dict[str, Any], environ: dict[str, str] | None = None) -> list[str]:
    """Errors and warnings of a file with one session of these tools."""
    text = json.dumps({"sessions": {"a": {"tools": tools}, "b": {}}})
    checked = check(text, environ=environ or {}, home=None)
    return [str(problem) for problem in (*checked.errors, *checked.warnings)]


@pytest.mark.parametrize(
    "entry",
    [
        "127.0.0.1", "192.168.1.0/24", "10.0.0.5/32", "::1", "fd00::/8", "nas.lan", "*.lan",
        "localhost", "My_Host.example.", "0.0.0.0/0",
    ],
)  # fmt: skip
def test_networks_addresses_and_hosts_are_allowed(entry: str) -> None:
    """Each in the way that people write it."""
    assert problems({"allowNets": [entry]}) == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("192.168.1.5/24", "Write 192.168.1.0/24 or 192.168.1.5"),
        ("http://nas.lan/", "is neither a network (192.168.1.0/24) nor an address nor the name"),
        ("nas.lan:8080", "is neither a network"),
        ("*", "is neither a network"),
        ("a.*.lan", "is neither a network"),
        ("300.1.1.1", "is neither a network"),
        ("127.1", "is neither a network"),
        ("10.0.0.0/33", "is neither a network"),
        ("", "is neither a network"),
        ("nas lan", "is neither a network"),
        ("a" * 300, "is neither a network"),
        ("bücher.example", "is neither a network"),
    ],
)
def test_what_names_no_network_is_an_error_with_its_place(entry: str, words: str) -> None:
    """A slip here would open more than was meant, or nothing."""
    (problem,) = problems({"allowNets": ["10.0.0.0/8", entry]})
    assert "sessions.a.tools.allowNets[1]" in problem
    assert words in problem


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"provider": "searxng"}, "searxng needs an endpoint"),
        ({"provider": "searxng", "endpoint": "offline:"}, "must begin with https://"),
        ({"provider": "brave"}, "brave needs an apiKey"),
        ({"provider": "serper", "apiKey": ""}, "serper needs an apiKey"),
        ({"provider": "brave", "apiKey": "${NO_KEY}"}, "NO_KEY, which is not set"),
    ],
)
def test_a_search_that_cannot_work_says_what_is_missing(search: dict[str, str], words: str) -> None:
    """When the file is read, not when a session first searches."""
    (problem,) = problems({"search": search})
    assert "sessions.a.tools.search" in problem
    assert words in problem


def test_a_search_that_can_work_is_fine() -> None:
    """With its key where keys are, or without one where none is needed."""
    assert problems({"search": {"provider": "searxng", "endpoint": "http://10.0.0.5:8888"}}) == []
    brave = {"provider": "brave", "apiKey": "${BRAVE_KEY}"}
    assert problems({"search": brave}, {"BRAVE_KEY": "a-key-0123456789abcdef"}) == []
