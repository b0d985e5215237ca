"""What is too long for a conversation is kept whole in the workspace, within bounds."""

from __future__ import annotations

import re
from pathlib import Path

from clawd.agent.trust import Trust
from clawd.sessions.results import KEPT, KEPT_BYTES, SHOWN, shown_part


async def shown(workspace: Path, result: str) -> str:
    """The name of the file that has it all."""
    text = await shown_part(workspace, result, Trust(), private=False)
    assert len(text) < 1.01 * SHOWN
    (name,) = re.findall(r"the whole is in (results/\S+\.txt)", text)
    return str(name)


async def test_the_oldest_of_many_go(tmp_path: Path) -> None:
    """A workspace keeps the newest hundred; the one that was just named is always there."""
    names = [await shown(tmp_path, "x" * (SHOWN + 1)) for _ in range(KEPT + 2)]
    kept = sorted(f"results/{file.name}" for file in (tmp_path / "results").iterdir())
    assert kept == names[2:]


async def test_the_oldest_of_large_ones_go(tmp_path: Path) -> None:
    """They have a size together, too; one that is larger by itself is kept until the next."""
    third = "x" * (KEPT_BYTES // 3)
    names = [await shown(tmp_path, third) for _ in range(4)]
    kept = sorted(f"results/{file.name}" for file in (tmp_path / "results").iterdir())
    assert kept == names[1:]
    last = await shown(tmp_path, "x" * (KEPT_BYTES + 1))
    assert [f"results/{file.name}" for file in (tmp_path / "results").iterdir()] == [last]
