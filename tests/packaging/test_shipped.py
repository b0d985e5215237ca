from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from clawd.cli.shipped import FILES, SESSIONS, example_workspaces

ROOT = Path(__file__).parents[2]
SHIPPED = {(session, name) for session in SESSIONS for name in FILES}
PRIVATE = "My street is a secret."


def git(folder: Path, *words: str) -> str:
    """``git WORDS`` in a folder, with nobody's settings."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=clawd", "-c", "user.email=clawd@example.com")
    line = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(
        line, check=True, capture_output=True, text=True, timeout=20, env=kept
    ).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone as it comes."""
    clone = tmp_path / "clone"
    for session, name in SHIPPED:
        (clone / "workspaces" / session).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "workspaces" / session / name, clone / "workspaces" / session)
    shutil.copy(ROOT / ".gitignore", clone)
    shutil.copy(ROOT / "config.example.json", clone)
    git(clone, "init", "-q")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "Ship")
    return clone


def live_in(clone: Path) -> None:
    """Make it the home of somebody, with sessions, mail, notes and keys."""
    (clone / "config.json").write_text("{}")
    (clone / "openai.key").write_text("sk-canary")
    (clone / "workspaces/default/USER.md").write_text(PRIVATE)
    made = clone / "workspaces/analyzer"
    for folder in (made / "memory", clone / "workspaces/default/memory", clone / "state"):
        folder.mkdir(parents=True)
        (folder / "note.md").write_text(PRIVATE)
    for name in ("IDENTITY.md", "history.jsonl", "CURIOSITY.md"):
        (made / name).write_text(PRIVATE)
    (clone / "workspaces/default/session_messages.jsonl").write_text(PRIVATE)


def test_a_clone_that_is_a_home_gives_away_nothing_of_it(clone: Path) -> None:
    """`clawd init` elsewhere takes the shipped sessions alone, as they were shipped."""
    before = example_workspaces(clone)
    assert {(session, name) for session in before for name in before[session]} == SHIPPED
    live_in(clone)
    assert example_workspaces(clone) == before
    shutil.rmtree(clone / ".git")
    assert example_workspaces(clone) == {}


def test_git_tracks_the_identity_of_the_shipped_sessions_alone(clone: Path) -> None:
    """A clone that is a home shows an edited identity file, and nothing else."""
    live_in(clone)
    assert git(clone, "status", "--porcelain", "-uall").split() == [
        "M",
        "workspaces/default/USER.md",
    ]


def test_a_tree_without_git_is_taken_as_it_came(clone: Path) -> None:
    """An archive of the sources, or an installed wheel."""
    before = example_workspaces(clone)
    shutil.rmtree(clone / ".git")
    assert example_workspaces(clone) == before


def test_one_list_of_what_ships() -> None:
    """What `clawd init` copies is what the wheel carries and what git tracks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    wanted = {f"workspaces/{session}/{name}" for session, name in SHIPPED}
    assert {name for name in carried if name.startswith("workspaces/")} == wanted
    if (ROOT / ".git").exists():
        assert set(git(ROOT, "ls-files", "workspaces").split()) == wanted
