"""What settings hold: defaults, choices, limits; and that the page on them is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from clawd.config.examples import example, examples_root
from clawd.config.last_good import last_good_file, load_last_good, save_last_good
from clawd.config.loader import check, load
from clawd.config.output import json_schema, records, redacted
from clawd.config.schema import A2A, Config, SessionSettings, limits_for
from clawd.storage.files import atomic_write, make_private_folder

REPOSITORY = Path(__file__).parents[2]


def config(text: str) -> Config:
    """The configuration of a text."""
    return check(text, environ={"KEY_A": "sk-a", "KEY_B": "sk-b"}, home=None).require()


def test_m25_two_templates_serve_two_sessions() -> None:
    """Each session has the endpoint, key and model of its own choice."""
    models = '"availableModels": ["m", "n"], "defaultModel": "m"'
    made = config(
        '{"providerTemplates": {'
        f'"a": {{"endpoint": "https://a/v1", "apiKey": "${{KEY_A}}", {models}}},'
        f'"b": {{"endpoint": "https://b/v1", "apiKey": "${{KEY_B}}", {models}}}}},'
        '"sessions": {"x": {}, "y": {"provider": {"template": "b", "model": "n"}}}}'
    )
    x, y = made.sessions["x"], made.sessions["y"]
    assert (made.template_of(x).endpoint, made.model_of(x)) == ("https://a/v1", "m")
    assert (made.template_of(y).endpoint, made.model_of(y)) == ("https://b/v1", "n")
    key = made.template_of(y).api_key
    assert key is not None
    assert key.reveal() == "${KEY_B}"


def test_an_inline_provider_is_a_template_of_its_own() -> None:
    """Its id cannot be that of a template of the file."""
    made = config(
        '{"sessions": {"x": {"provider": {"endpoint": "http://127.0.0.1:1/v1", "model": "m", '
        '"contextWindow": 4096, "fallback": "offline"}}, "y": {}}}'
    )
    template = made.template_of(made.sessions["x"])
    assert (template.id, template.default_model, template.context_window) == (
        "inline:x",
        "m",
        4096,
    )
    assert made.fallback_of(made.sessions["x"]) == "offline"


def test_limits_of_a_session_replace_key_by_key() -> None:
    """A value of its own counts, also when it is the default of that key."""
    made = config(
        '{"limits": {"maxHops": 5, "maxUnread": 7}, "sessions": '
        '{"x": {"limits": {"maxHops": 24, "maxTurns": 2}}, "y": {}}}'
    )
    own = limits_for(made, made.sessions["x"])
    assert (own.max_hops, own.max_unread, own.max_turns) == (24, 7, 2)
    assert limits_for(made, made.sessions["y"]).max_hops == 5
    assert redacted(made)["sessions"]["x"]["limits"] == {"maxHops": 24, "maxTurns": 2}


def test_the_default_limits_are_those_of_the_guards() -> None:
    """The table of the guards, in camelCase."""
    defaults = redacted(Config())["limits"]
    assert defaults == {
        "maxHops": 24, "maxMessagesPerPair": 20, "maxTurnsPerTrace": 200, "maxTaskDepth": 4,
        "maxTasksCreated": 100, "maxTasksAssigned": 1000, "maxAutonomousTurnsPerHour": 120,
        "maxModelCallsPerTurn": 50, "repeatedCallWarn": 5, "repeatedCallStop": 10,
        "maxFailedCallsInARow": 5, "maxTurns": 64, "maxSessionsAlive": 200,
        "maxSessionsPerHour": 20, "maxSessionDepth": 3, "maxMessageBytes": 262144,
        "maxUnread": 10000, "maxContextBytes": 1048576, "maxLineBytes": 2097152,
        "sendsPerMinute": 60, "maxSchedules": 100, "minScheduleSeconds": 60.0,
    }  # fmt: skip


def test_settings_are_frozen_and_can_be_made_in_code() -> None:
    """By their attribute names; nothing changes them afterwards."""
    settings = SessionSettings(id="x", a2a=A2A(hidden_from_agents=True))
    assert settings.workspace == "workspaces/x"
    made = Config(sessions={"x": settings})
    assert made.template_of(made.sessions["x"]).is_offline
    with pytest.raises(ValidationError):
        settings.name = "other"


def test_the_example_is_valid_without_any_key(tmp_path: Path) -> None:
    """It starts offline; the one warning is of a template that no session uses."""
    (tmp_path / "config.json").write_text(example(), encoding="utf-8")
    checked = load(tmp_path, {})
    made = checked.require()
    assert made.default_template == "offline"
    assert list(made.sessions) == ["default", "researcher", "coder"]
    assert [each.path for each in checked.problems] == ["providerTemplates.openai.apiKey"]
    assert load(tmp_path, {"OPENAI_API_KEY": "sk-x"}).problems == []
    for session in made.sessions.values():
        assert (examples_root() / session.workspace / "IDENTITY.md").is_file()


def test_the_schema_describes_the_files() -> None:
    """CamelCase keys, nothing unknown, `x-` keys allowed, and no id inside an entry."""
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert schema["patternProperties"] == {"^x-": {}}
    session = schema["$defs"]["SessionSettings"]
    assert {"a2a", "mcpServers", "tools"} <= set(session["properties"])
    assert "id" not in session["properties"]
    assert "from" in schema["$defs"]["AccessRule"]["properties"]
    assert "$schema" in schema["properties"]


def test_every_key_is_on_the_page() -> None:
    """docs/configuration.md explains each key that a file can hold, with its default."""
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))
    keys = {
        field.alias
        for record in records()
        for name, field in record.model_fields.items()
        if name != "id"
    }
    assert keys - rows == set()


def test_the_last_good_copy_is_private_and_comes_back(tmp_path: Path) -> None:
    """Kept whole with mode 0600; nothing there is not an error."""
    assert load_last_good(tmp_path) is None
    make_private_folder(tmp_path / "state")
    save_last_good(tmp_path, '{"x-ä": 1}', {"x-ä": 1}, atomic_write)
    assert load_last_good(tmp_path) == '{"x-ä": 1}'
    assert last_good_file(tmp_path).stat().st_mode & 0o777 == 0o600
