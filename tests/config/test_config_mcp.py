"""`mcpServers`: either a command or a url, with values that are filled in and never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawd.config.filling import filled
from clawd.config.literals import secrets_of
from clawd.config.loader import check
from clawd.config.output import redacted_session, session_json
from clawd.config.schema import Config
from clawd.errors import Invalid
from clawd.secrets import Secret

TOKEN = "tok-canary-5f21e"


def with_servers(servers: object, environ: dict[str, str] | None = None) -> Config:
    """The configuration of one session with these servers."""
    text = json.dumps({"sessions": {"a": {"mcpServers": servers}, "b": {}}})
    return check(text, environ=environ or {}, home=None).require()


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({}, "needs either a command or a url"),
        ({"command": "x", "url": "https://h/mcp"}, "needs either a command or a url"),
        ({"command": ""}, "must not be empty"),
        ({"command": "x", "typo": 1}, "unknown key"),
        ({"command": "x", "comand": "y"}, "Did you mean command?"),
        ({"command": "x", "args": "--one"}, "must be a list"),
        ({"command": "x", "args": ["--key", "${KEY}"]}, "arguments are not filled in"),
        ({"command": "x", "args": ["a\0b"]}, "must not hold a NUL"),
        ({"command": "a\nb"}, "must not hold a line break"),
        ({"command": "x", "env": {"A B": "1"}}, "is no name of an environment variable"),
        ({"command": "x", "env": {"A": 1}}, "must be text"),
        ({"command": "x", "headers": {"A": "1"}}, "headers belong to a url"),
        ({"command": "x", "sandbox": "no"}, "must be true or false"),
        ({"command": "x", "timeoutSeconds": 0}, "must be greater than 0"),
        ({"url": "https://h/mcp", "network": True}, "network belongs to a command"),
        ({"url": "https://h/mcp", "env": {"A": "1"}}, "env belongs to a command"),
        ({"url": "ftp://h/mcp"}, "must begin with https:// or http://"),
        ({"url": "https://me:pass@h/mcp"}, "put the key into headers"),
        ({"url": "https://h/mcp", "headers": {"A:": "1"}}, "is no name of a header"),
    ],
)
def test_a_wrong_server_is_refused_with_its_place(server: object, words: str) -> None:
    """Each mistake is named at the server that has it."""
    text = json.dumps({"sessions": {"a": {"mcpServers": {"x": server}}, "b": {}}})
    problems = check(text, environ={}, home=None).errors
    assert all(problem.path.startswith("sessions.a.mcpServers.x") for problem in problems)
    assert any(words in str(problem) for problem in problems)


@pytest.mark.parametrize("name", ["", "a b", "a__b", "a_", "x" * 33, "ä", "__proto__", "a.b"])
def test_a_name_that_no_tool_could_carry_is_refused(name: str) -> None:
    """The first ``__`` of a tool's name ends its server's, so no two servers share a tool."""
    text = json.dumps({"sessions": {"a": {"mcpServers": {name: {"command": "x"}}}, "b": {}}})
    [problem] = check(text, environ={}, home=None).errors
    assert "cannot name a server" in str(problem)


@pytest.mark.parametrize("name", ["a", "a-b", "a_b", "_a", "-", "9", "x" * 32])
def test_other_names_are_fine(name: str) -> None:
    """Letters, digits, '-' and single '_'."""
    assert name in with_servers({name: {"command": "x"}}).sessions["a"].mcp_servers


def test_values_are_filled_from_the_environment_and_from_files(tmp_path: Path) -> None:
    """Inside of a text too; what is missing is named, and what is there never is."""
    (tmp_path / "t.key").write_text(f"{TOKEN}\n")
    environ = {"TOKEN": TOKEN, "EMPTY": ""}
    assert filled(Secret("Bearer ${TOKEN}"), environ, tmp_path) == f"Bearer {TOKEN}"
    assert filled(Secret("file:t.key"), environ, tmp_path) == TOKEN
    assert filled(Secret("plain text, $1 {x}"), environ, tmp_path) == "plain text, $1 {x}"
    for text, words in (
        ("Bearer ${OTHER}", "OTHER, which is not set"),
        ("${TOKEN}${EMPTY}", "EMPTY, which is empty"),
        ("file:no.key", "no.key"),
    ):
        with pytest.raises(Invalid, match="refers to") as caught:
            filled(Secret(text), environ, tmp_path)
        assert words in str(caught.value)
        assert TOKEN not in str(caught.value)


def test_a_value_that_is_missing_is_a_warning_and_holds_its_server(tmp_path: Path) -> None:
    """The rest of the configuration is in force."""
    servers = {"x": {"url": "https://h/mcp", "headers": {"Authorization": "Bearer ${GONE}"}}}
    text = json.dumps({"sessions": {"a": {"mcpServers": servers}, "b": {}}})
    checked = check(text, environ={}, home=tmp_path)
    assert checked.config is not None
    [problem] = checked.warnings
    assert problem.path == "sessions.a.mcpServers.x.headers.Authorization"
    assert "until then server 'x' is not started" in str(problem)


@pytest.mark.parametrize(
    "servers",
    [
        {"x": {"command": "x", "env": {"ANY": "${TOKEN}"}}},
        {"x": {"command": "x", "env": {"ANY": "a ${TOKEN} b"}}},
        {"x": {"command": "x", "env": {"ANY": "file:t.key"}}},
        {"x": {"command": "x", "env": {"API_TOKEN": TOKEN}}},
        {"x": {"url": "https://h/mcp", "headers": {"X-Any": "Bearer ${TOKEN}"}}},
        {"x": {"url": "https://h/mcp", "headers": {"Authorization": f"Bearer {TOKEN}"}}},
    ],
)
def test_r12_what_a_server_is_given_is_known_to_be_secret(servers: object, tmp_path: Path) -> None:
    """However it is referred to, its value is hidden wherever clawd shows something."""
    (tmp_path / "t.key").write_text(TOKEN)
    content = {"sessions": {"a": {"mcpServers": servers}}}
    found = {each.reveal() for each in secrets_of(content, {"TOKEN": TOKEN}, tmp_path)}
    assert TOKEN in found


def test_the_entry_of_a_session_keeps_the_values_and_its_listing_hides_them() -> None:
    """What is stored makes the same settings again; what is shown has ``***``."""
    servers = {"x": {"command": "x", "env": {"TOKEN": TOKEN}, "args": ["-v"], "network": True}}
    settings = with_servers(servers).sessions["a"]
    assert session_json(settings)["mcpServers"] == servers
    shown = json.dumps(redacted_session(settings))
    assert TOKEN not in shown
    assert TOKEN not in repr(settings)
