"""Deleting: into the trash, which does not grow for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.tools.files.conftest import Desk

from clawd.tools.files import trash


def kept(root: Path) -> list[str]:
    """The names that the files in the trash had."""
    return sorted(path.name.partition("Z-")[2] for path in (root / ".trash").iterdir())


async def test_a_deleted_file_is_kept(desk: Desk, root: Path) -> None:
    """It can be read where it is now, also when another one of its name was deleted before."""
    for text in ("one", "two"):
        await desk.do("write_file", path="notes/a.md", content=text)
        answer = await desk.do("delete_file", path="notes/a.md")
        assert answer.facts is not None
        assert text in await desk.text("read_file", path=answer.facts["keptAs"])
    assert kept(root) == ["a.md", "a.md"]
    assert (root / ".trash").stat().st_mode & 0o777 == 0o700
    assert "removed" in await desk.text("delete_file", path="notes")
    assert await desk.refused("delete_file", path="notes") == "file_not_found"


async def test_what_is_not_deleted(desk: Desk, root: Path) -> None:
    """A folder with something in it, and the workspace itself."""
    await desk.do("write_file", path="a/b", content="x")
    assert await desk.refused("delete_file", path="a") == "folder_not_empty"
    assert await desk.refused("delete_file", path=".") == "is_a_folder"
    (root / ".trash").write_text("")
    assert await desk.refused("delete_file", path="a/b") == "no_trash"
    assert (root / "a/b").read_text() == "x"


async def test_a_long_name(desk: Desk, root: Path) -> None:
    """A name that would be too long with the time before it is cut."""
    name = "é" * 127
    await desk.do("write_file", path=name, content="x")
    await desk.do("delete_file", path=name)
    assert kept(root)[0].startswith("é" * 100)


async def test_the_trash_is_bounded(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number, size and age, the oldest first; what was deleted last always stays."""
    monkeypatch.setattr(trash, "MAX_FILES", 3)
    for number in range(5):
        await desk.do("write_file", path=f"{number}", content="x")
        await desk.do("delete_file", path=f"{number}")
        for age, path in enumerate(sorted((root / ".trash").iterdir(), reverse=True)):
            os.utime(path, (time.time() - age, time.time() - age))
    assert kept(root) == ["2", "3", "4"]
    monkeypatch.setattr(trash, "MAX_BYTES", 10)
    await desk.do("write_file", path="big", content="x" * 100)
    await desk.do("delete_file", path="big")
    assert kept(root) == ["3", "4", "big"]
    for path in (root / ".trash").iterdir():
        os.utime(path, (1, 1))
    await desk.do("write_file", path="last", content="x")
    answer = await desk.do("delete_file", path="last")
    assert kept(root) == ["last"]
    assert "3 old files left the trash" in answer.text
