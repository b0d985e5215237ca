"""Keys: how a reference becomes one, and that none is ever shown."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawd.config.keys import origin, resolve_key
from clawd.config.loader import check, parse_session
from clawd.config.output import json_schema, redacted, redacted_session, session_json
from clawd.config.schema import Config
from clawd.errors import ConfigError, Invalid
from clawd.secrets import Secret

CANARY = "sk-canary-4b1d"

EVERYWHERE = f"""{{
  "providerTemplates": {{
    "t": {{"endpoint": "https://h/v1", "availableModels": ["m"], "defaultModel": "m",
          "apiKey": "{CANARY}"}}
  }},
  "sessions": {{
    "a": {{
      "provider": {{"endpoint": "https://i/v1", "model": "m", "apiKey": "{CANARY}"}},
      "tools": {{"search": {{"provider": "brave", "apiKey": "{CANARY}"}}}},
      "mcpServers": {{
        "x": {{"command": "serve", "args": ["--safe"], "env": {{"ANY": "{CANARY}"}}}},
        "y": {{"url": "https://h/mcp", "headers": {{"X-A": "Bearer {CANARY}"}}}}
      }},
      "schedules": [{{"id": "s", "every": "1 hour", "text": "read https://u:{CANARY}@h/x"}}]
    }},
    "b": {{}}
  }},
  "bus": {{"type": "redis", "url": "redis://:{CANARY}@host:6379/0"}},
  "gateway": {{"tokens": [{{"secret": "{CANARY}"}}], "port": 8000}},
  "coordination": {{"url": "redis://u:{CANARY}@host", "password": "{CANARY}"}}
}}"""


def everywhere() -> Config:
    """A configuration with the canary wherever a key can stand."""
    return check(EVERYWHERE, environ={}, home=None).require()


def template(key: str) -> str:
    """A configuration whose one template has this reference."""
    return json.dumps(
        {
            "providerTemplates": {
                "t": {
                    "endpoint": "https://h/v1",
                    "availableModels": ["m"],
                    "defaultModel": "m",
                    "apiKey": key,
                }
            },
            "sessions": {"a": {}, "b": {}},
        }
    )


def test_the_three_kinds_of_reference(tmp_path: Path) -> None:
    """The environment, a file relative to home or absolute or below ``~``, and the key itself."""
    (tmp_path / "key").write_text("sk-in-file\n")
    environ = {"NAME": " sk-in-env\n", "HOME": str(tmp_path)}
    for reference, home, key in (
        ("${NAME}", None, "sk-in-env"),
        ("file:key", tmp_path, "sk-in-file"),
        (f"file:{tmp_path / 'key'}", None, "sk-in-file"),
        ("file:~/key", Path("/nowhere"), "sk-in-file"),
        ("sk-literal", None, "sk-literal"),
    ):
        assert resolve_key(Secret(reference), environ, home) == Secret(key)
    assert resolve_key(None, environ, None) is None
    assert resolve_key(Secret(""), environ, None) is None


def test_b10_what_is_missing_is_named(tmp_path: Path) -> None:
    """The variable or the file, whether it is absent or empty."""
    (tmp_path / "empty").write_text("\n")
    os.mkfifo(tmp_path / "pipe")
    for reference, words in (
        ("${MISSING_VAR}", "refers to environment variable MISSING_VAR, which is not set"),
        ("${EMPTY}", "refers to environment variable EMPTY, which is empty"),
        ("file:absent", "refers to file 'absent', which cannot be read"),
        ("file:empty", "refers to file 'empty', which holds no key"),
        ("file:pipe", "refers to file 'pipe', which cannot be read (it is not a regular file)"),
        ("file:", "cannot be read"),
        ("file:a\0b", "cannot be read"),
    ):
        with pytest.raises(Invalid) as caught:
            resolve_key(Secret(reference), {"EMPTY": ""}, tmp_path)
        assert words in caught.value.message


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk-YOUR_KEY", "is the example value"),
        ("<your key>", "contains a character"),
        ("YOUR-API-KEY", "is the example value"),
        (f"{CANARY}\nmore", "contains a line break"),
        (f"{CANARY} more", "contains a character that no key has"),
        (f"{CANARY}é", "contains a character that no key has"),
        (f"{CANARY}\t", "contains a character that no key has"),
        ("$OPENAI_API_KEY", "begins with '$'"),
        ("", "is empty"),
    ],
)
def test_b09_a_key_that_cannot_be_one_is_a_warning(key: str, words: str) -> None:
    """The template alone is held; the value is not shown."""
    checked = check(template(key), environ={}, home=None)
    (warning,) = checked.problems
    assert (warning.path, warning.severity) == ("providerTemplates.t.apiKey", "warning")
    assert words in warning.message
    assert "canary" not in str(warning)
    assert checked.config is not None


@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_bad_key_behind_a_reference_names_its_source_alone(tmp_path: Path, source: str) -> None:
    """A pasted line break in the environment or in a file."""
    (tmp_path / "key").write_text(f"{CANARY}\n{CANARY}")
    reference = "${KEY}" if source == "environment" else "file:key"
    with pytest.raises(Invalid) as caught:
        resolve_key(Secret(reference), {"KEY": f"{CANARY}\n{CANARY}"}, tmp_path)
    assert source in caught.value.message
    assert "canary" not in f"{caught.value.as_json()} {caught.value!r}"


def test_a_key_in_a_file_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    """A literal in such a configuration, and a key file that is open to others."""
    file = tmp_path / "config.json"
    for mode, count in ((0o600, 0), (0o640, 1), (0o604, 1)):
        file.write_text(template(CANARY))
        file.chmod(mode)
        problems = check(template(CANARY), environ={}, home=tmp_path, file=file).problems
        assert [each.severity for each in problems] == ["warning"] * count
        assert all("chmod 600" in each.hint for each in problems)
    (tmp_path / "key").write_text(CANARY)
    (tmp_path / "key").chmod(0o644)
    (warning,) = check(template("file:key"), environ={}, home=tmp_path, file=file).problems
    assert "which other users can read" in warning.message


def test_r12_no_key_in_any_form_of_a_configuration() -> None:
    """Not as text, not as its representation, not redacted, not in the schema."""
    config = everywhere()
    forms = [
        repr(config),
        str(config),
        f"{config}",
        config.model_dump_json(exclude=set(_LOOSE) | {"sessions"}),
        json.dumps(redacted(config)),
        json.dumps(redacted_session(config.sessions["a"])),
        repr(config.sessions["a"]),
        repr(copy.deepcopy(config)),
        json.dumps(json_schema()),
        repr(check(EVERYWHERE, environ={}, home=None)),
    ]
    for form in forms:
        assert "canary" not in form
    shown = redacted(config)
    assert shown["providerTemplates"]["t"]["apiKey"] == "***"
    assert shown["gateway"]["port"] == 8000
    assert shown["bus"]["url"] == "redis://***@host:6379/0"
    assert shown["sessions"]["a"]["mcpServers"]["x"]["args"] == ["--safe"]


_LOOSE = ("gateway", "bus", "registry", "coordination")


@given(st.data())
def test_r12_no_key_in_any_error(data: st.DataObject) -> None:
    """However a file with keys is damaged, no problem repeats one."""
    at = data.draw(st.integers(0, len(EVERYWHERE) - 1))
    length = data.draw(st.integers(0, 3))
    inserted = data.draw(st.text("{}[]\",:'0x\n", max_size=3))
    damaged = EVERYWHERE[:at] + inserted + EVERYWHERE[at + length :]
    checked = check(damaged, environ={}, home=None)
    for problem in checked.problems:
        assert CANARY not in repr(problem)
        assert CANARY not in str(problem)


def test_a_session_at_run_time_has_the_schema_of_an_entry() -> None:
    """It is read as an entry, written without defaults, and read back the same."""
    entry = {
        "provider": {"endpoint": "https://i/v1", "model": "m", "apiKey": CANARY},
        "a2a": {"hiddenFromAgents": True, "access": [{"from": "a*", "allow": False}]},
        "limits": {"maxHops": 24},
        "capabilities": ["x"],
    }
    settings = parse_session("made", entry)
    assert (settings.id, settings.name, settings.workspace) == ("made", "made", "workspaces/made")
    assert session_json(settings) == entry
    assert parse_session("made", session_json(settings)) == settings
    assert session_json(parse_session("plain", {})) == {}
    named = parse_session("n", {"name": "N", "workspace": "w"})
    assert session_json(named) == {"name": "N", "workspace": "w"}


def test_a_wrong_session_at_run_time_names_everything() -> None:
    """All problems in one error; a bad id is refused before anything else."""
    with pytest.raises(ConfigError) as caught:
        parse_session("made", {"a2a": {"enable": True}, "role": 5})
    assert "sessions.made.a2a.enable: unknown key" in caught.value.message
    assert "sessions.made.role: must be one of" in caught.value.message
    with pytest.raises(ConfigError):
        parse_session("../x", {})


def test_the_origin_of_an_endpoint() -> None:
    """Scheme, host and port: what a key is bound to."""
    assert origin("https://H.example/v1") == origin("https://h.example:443/v2")
    assert origin("https://h.example") != origin("http://h.example")
    assert origin("https://h.example") != origin("https://h.example:8443")
