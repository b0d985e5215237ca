"""scripts/validate_config.py: counts and exit 0, or every problem and exit 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def validate(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The script as an operator runs it."""
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "validate_config.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ},
    )


def test_m01_a_good_configuration(tmp_path: Path) -> None:
    """Exit 0, with counts of all that the script looks at."""
    done = validate(str(REPOSITORY / "config.example.json"))
    assert done.returncode == 0
    assert "sessions: 3 (3 enabled)" in done.stdout
    assert "A2A: 3 enabled (0 hidden)" in done.stdout
    assert "provider templates: 3 (1 with a key)" in done.stdout
    assert "ACA: 0 enabled" in done.stdout
    assert "valid: 0 errors, 1 warning" in done.stdout


def test_m01_a_bad_configuration(tmp_path: Path) -> None:
    """Exit 1; an unknown template, a missing provider and a wrong type, each with its path."""
    (tmp_path / "config.json").write_text(
        '{"providerTemplates": {"t": {"name": "T"}},\n"sessions": {"a": {"provider": '
        '{"template": "nope"}}, "b": {"enabled": "yes"}}}'
    )
    done = validate(CLAWD_HOME=str(tmp_path))
    assert done.returncode == 1
    for path in ("providerTemplates.t.endpoint", "sessions.a.provider.template",
                 "sessions.b.enabled"):  # fmt: skip
        assert f": {path}: " in done.stderr
    assert "invalid: 5 errors" in done.stdout


def test_m01_one_a2a_session_is_a_warning(tmp_path: Path) -> None:
    """Exit 0 all the same."""
    (tmp_path / "config.json").write_text('{"sessions": {"a": {}}}')
    done = validate(str(tmp_path))
    assert done.returncode == 0
    assert "only one session has A2A enabled" in done.stderr


def test_m01_curiosity_is_counted_and_checked(tmp_path: Path) -> None:
    """A count; one that can schedule nothing is a warning, wrong values are errors."""
    (tmp_path / "config.json").write_text(
        '{"sessions": {"a": {"aca": {"enabled": true}, "tools": {"schedule": false}}, "b": {}}}'
    )
    done = validate(str(tmp_path))
    assert done.returncode == 0
    assert "ACA: 1 enabled" in done.stdout
    assert "sessions.a.aca.enabled: " in done.stderr
    assert "tools.schedule is off" in done.stderr
    (tmp_path / "config.json").write_text(
        '{"sessions": {"a": {"aca": {"enabled": 1, "scanInterval": 0, "goals": 3}}, "b": {}}}'
    )
    done = validate(str(tmp_path))
    assert done.returncode == 1
    for key in ("enabled", "scanInterval", "goals"):
        assert f"sessions.a.aca.{key}: " in done.stderr


def test_wrong_use_is_one(tmp_path: Path) -> None:
    """There is no exit code but 0 and 1."""
    assert validate("a", "b").returncode == 1
    assert validate("--help").returncode == 0
    assert validate(str(tmp_path / "absent")).returncode == 1
