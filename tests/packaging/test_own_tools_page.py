"""docs/own-tools.md: its code is run as it stands, as somebody who follows the page would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "own-tools.md"
BLOCKS = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_each_block_of_code_says_which_file_it_is() -> None:
    """Nothing on the page is left untried."""
    assert PAGE.read_text(encoding="utf-8").count("```python") == len(BLOCKS)
    assert sum(name.startswith("test_") for name, _ in BLOCKS) == 3


@pytest.mark.timeout(120)
def test_the_page_works(tmp_path: Path) -> None:
    """The tools are put where it says, and its own tests pass."""
    tools, tests = tmp_path / "tools", tmp_path / "tests"
    for folder in (tools, tests):
        folder.mkdir()
    for name, code in BLOCKS:
        place = tools if name.startswith("~/.clawd/tools/") else tests
        (place / Path(name).name).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", str(tests)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tools), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
