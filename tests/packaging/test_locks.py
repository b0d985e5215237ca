from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pinned(lock: str) -> dict[str, str]:
    """Each distribution of a lock with its version."""
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def named(requirements: list[str]) -> set[str]:
    """The distributions that a list of requirements asks for."""
    return {
        re.split(r"[<>=!~ ;\[]", entry, maxsplit=1)[0].lower().replace("_", "-")
        for entry in requirements
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    """A lock installs from whatever index a machine has, and only what it was made from."""
    text = (ROOT / lock).read_text()
    assert "//" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """No requirement was added without making the locks anew, and both locks agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    running, developing = pinned(LOCKS[0]), pinned(LOCKS[1])
    assert named(project["project"]["dependencies"]) <= set(running)
    assert named(project["dependency-groups"]["dev"]) <= set(developing)
    assert running.items() <= developing.items()
