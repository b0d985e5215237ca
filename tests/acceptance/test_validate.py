"""`clawd config validate` finds what the daemon would refuse, without a daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from clawd.testing.homes import scripted, write_config


def validate(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator runs it."""
    return subprocess.run(
        [sys.executable, "-m", "clawd", "config", "validate", "--home", str(home), *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "HOME": "/nonexistent", "NO_COLOR": "1"},
    )


def good() -> dict[str, Any]:
    """A configuration of two sessions, without a problem."""
    config = scripted("http://127.0.0.1:9/v1", "a", "b")
    del config["providerTemplates"]["scripted"]["apiKey"]
    return config


def test_a_good_configuration(tmp_path: Path) -> None:
    """M01: exit 0 and counts."""
    write_config(tmp_path, good())
    done = validate(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 sessions" in done.stdout
    assert "provider templates" in done.stdout
    assert not (tmp_path / "state").exists()


def test_a_bad_configuration(tmp_path: Path) -> None:
    """M01: exit 3, and every problem at once with its path and place."""
    config = good()
    config["sessions"]["a"]["provider"] = {"template": "nope"}
    config["sessions"]["b"]["provider"] = None
    config["sessions"]["c"] = {"enabled": "yes"}
    write_config(tmp_path, config)
    done = validate(tmp_path)
    assert done.returncode == 3
    said = done.stdout + done.stderr
    for path in ("sessions.a.provider.template", "sessions.b.provider", "sessions.c.enabled"):
        (line,) = [line for line in said.splitlines() if f" {path}:" in line]
        assert "config.json:" in line
    assert "scripted" in said  # the templates that there are

    as_json = json.loads(validate(tmp_path, "--json").stdout)
    paths = {item["path"] for item in as_json["problems"]}
    assert {"sessions.a.provider.template", "sessions.b.provider", "sessions.c.enabled"} <= paths


def test_one_session_that_talks_to_nobody_is_a_warning(tmp_path: Path) -> None:
    """M01: a single A2A session is a warning; exit 0 all the same."""
    config = good()
    config["sessions"]["b"]["a2a"] = {"enabled": False}
    write_config(tmp_path, config)
    done = validate(tmp_path)
    assert done.returncode == 0
    assert "only one session has A2A enabled" in done.stdout + done.stderr
