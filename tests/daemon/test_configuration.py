"""The configuration in force: the file, or what was good before, never something in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clawd.config.last_good import last_good_file
from clawd.config.schema import limits_for
from clawd.daemon.reload import Configuration
from clawd.errors import ConfigError

GOOD: dict[str, Any] = {"sessions": {"a": {}, "b": {"limits": {"maxHops": 3}}}}


def save(home: Path, config: Any) -> None:
    """Write the file of a home, which has a state folder."""
    (home / "state").mkdir(exist_ok=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (home / "config.json").write_text(text, encoding="utf-8")


def loaded(home: Path) -> Configuration:
    """What a daemon that starts now goes by."""
    configuration = Configuration(home)
    configuration.load()
    return configuration


def test_a_good_file_is_in_force_and_kept(tmp_path: Path) -> None:
    """The copy for a later start has the file's own text, comments and all."""
    text = '// mine\n{"sessions": {"a": {},}}'
    save(tmp_path, text)
    configuration = loaded(tmp_path)
    assert configuration.state == "ok"
    assert list(configuration.config.sessions) == ["a"]
    assert last_good_file(tmp_path).read_text(encoding="utf-8") == text


def test_a_broken_file_leaves_what_was_in_force(tmp_path: Path) -> None:
    """A reload that fails changes nothing but the state and the problems; a mended one is taken."""
    save(tmp_path, GOOD)
    configuration = loaded(tmp_path)
    before = configuration.config
    save(tmp_path, "{")
    assert not configuration.reload()
    assert configuration.config is before
    assert configuration.state == "last good"
    assert configuration.problems[0].startswith("config.json:1:")
    assert json.loads(last_good_file(tmp_path).read_text(encoding="utf-8")) == GOOD
    save(tmp_path, {"sessions": {"c": {}}})
    assert configuration.reload()
    assert list(configuration.config.sessions) == ["c"]
    assert configuration.state == "ok"


def test_a_start_on_a_broken_file_takes_the_last_good_one(tmp_path: Path) -> None:
    """The problems are those of the file, the configuration is that of before."""
    save(tmp_path, GOOD)
    loaded(tmp_path)
    save(tmp_path, '{"sessions": {"a": {"enabled": 1}, "b": {"nmae": "x"}}}')
    configuration = loaded(tmp_path)
    assert list(configuration.config.sessions) == ["a", "b"]
    assert configuration.state == "last good"
    assert len(configuration.problems) == 2
    (tmp_path / "config.json").unlink()
    assert "was not found" in loaded(tmp_path).problems[0]


@pytest.mark.parametrize("copy", [None, "{", b"\xff"], ids=["none", "broken", "no text"])
def test_without_a_good_one_every_problem_is_named(
    tmp_path: Path, copy: str | bytes | None
) -> None:
    """Exit code 3 with all of them, whatever is found where the copy should be."""
    save(tmp_path, '{"sessions": {"a": {"enabled": 1}, "b": {"nmae": "x"}}}')
    if copy is not None:
        content = copy if isinstance(copy, bytes) else copy.encode()
        last_good_file(tmp_path).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path)
    assert caught.value.exit_code == 3
    assert "sessions.a.enabled" in caught.value.message
    assert "sessions.b.nmae" in caught.value.message


def test_keys_without_effect_are_one_line_once(tmp_path: Path) -> None:
    """Told at the first look and when they are others; silence when there are none."""
    save(tmp_path, GOOD | {"gateway": {"enabled": True}})
    configuration = loaded(tmp_path)
    assert "gateway" in configuration.idle()
    assert configuration.idle() == ""
    configuration.reload()
    assert configuration.idle() == ""
    save(tmp_path, GOOD | {"bus": {"kind": "redis"}})
    configuration.reload()
    assert "bus" in configuration.idle()
    save(tmp_path, GOOD)
    configuration.reload()
    assert configuration.idle() == ""


def test_keys_of_templates_that_nobody_uses_are_no_problem(tmp_path: Path) -> None:
    """A template that waits for its key is only spoken of when a session needs it."""
    template = {
        "name": "T", "endpoint": "http://127.0.0.1:9/v1", "apiKey": "${CLAWD_TEST_NOT_SET}",
        "availableModels": ["m"], "defaultModel": "m",
    }  # fmt: skip
    config: dict[str, Any] = {"providerTemplates": {"t": template}, "sessions": {}}
    save(tmp_path, config | {"sessions": {n: {"provider": {"template": "offline"}} for n in "ab"}})
    assert loaded(tmp_path).problems == []
    save(tmp_path, config | {"sessions": {n: {"provider": {"template": "t"}} for n in "ab"}})
    (problem,) = loaded(tmp_path).problems
    assert "CLAWD_TEST_NOT_SET" in problem


def test_a_session_without_limits_of_its_own_shares_the_top_ones(tmp_path: Path) -> None:
    """Asked at every guard: no copy where there is nothing to merge."""
    save(tmp_path, GOOD)
    config = loaded(tmp_path).config
    assert limits_for(config, config.sessions["a"]) is config.limits
    merged = limits_for(config, config.sessions["b"])
    assert (merged.max_hops, merged.max_task_depth) == (3, config.limits.max_task_depth)
