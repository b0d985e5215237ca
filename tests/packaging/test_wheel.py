from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import clawd

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this clone, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=50,
    )
    (made,) = folder.glob("*.whl")
    assert made.name == f"clawd_daemon-{clawd.__version__}-py3-none-any.whl"
    return zipfile.ZipFile(made)


def test_the_wheel_carries_the_examples(wheel: zipfile.ZipFile) -> None:
    """An installed clawd can make a home: the example configuration and three identities."""
    examples = {name for name in wheel.namelist() if name.startswith("clawd/_examples/")}
    identities = {
        f"clawd/_examples/workspaces/{session}/{file}.md"
        for session in ("default", "researcher", "coder")
        for file in ("IDENTITY", "SOUL", "USER", "MEMORY")
    }
    assert examples == identities | {"clawd/_examples/config.example.json"}


def test_the_wheel_is_typed_licensed_and_has_its_command(wheel: zipfile.ZipFile) -> None:
    """Type checkers see clawd's types, the licence comes along, `clawd` is a command."""
    names = wheel.namelist()
    assert "clawd/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
    assert "clawd = clawd.cli.main:main" in wheel.read(entry_points).decode()
    assert not any("tests" in name or "history.jsonl" in name for name in names)
