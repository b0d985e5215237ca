"""The index follows the files, whoever changes them, and is nothing that could be lost."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawd.tools.memory.index import sound
from clawd.tools.memory.news import FolderNews
from clawd.tools.memory.shelf import Shelf

if TYPE_CHECKING:
    from tests.tools.memory.conftest import Desk


def _in_place(path: Path) -> None:
    with path.open("a") as file:
        file.write(" and a lemon")


def _replaced(path: Path) -> None:
    path.with_suffix(".new").write_text("green tea and a lemon")
    path.with_suffix(".new").replace(path)


def _same_size_and_time(path: Path) -> None:
    facts = path.stat()
    path.write_text("lemon lemon lemon"[: facts.st_size].ljust(facts.st_size))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize("edit", [_in_place, _replaced, _same_size_and_time])
async def test_an_edit_by_hand_counts_at_once(desk: Desk, edit: Callable[[Path], None]) -> None:
    """The next search finds it, however the editor saves."""
    path = desk.write("tea.md", "green tea, of the kind that is rare")
    assert await desk.ids("lemon") == []
    edit(path)
    assert await desk.ids("lemon") == ["tea"]


async def test_notes_by_hand_come_move_and_go(desk: Desk) -> None:
    """Added, renamed, moved away and back, deleted."""
    path = desk.write("tea.md", "green tea")
    desk.write("coffee.md", "black coffee")
    assert await desk.ids("tea") == ["tea"]
    path.rename(desk.folder / "drink.md")
    assert await desk.ids("tea") == ["drink"]
    desk.folder.rename(desk.workspace / "elsewhere")
    assert await desk.ids("tea") == []
    (desk.workspace / "elsewhere").rename(desk.folder)
    assert await desk.ids("tea") == ["drink"]
    (desk.folder / "drink.md").unlink()
    assert await desk.ids("tea") == []
    assert await desk.ids("coffee") == ["coffee"]


async def test_another_folder_in_its_place_is_another_set_of_notes(desk: Desk) -> None:
    """As when a backup is put back."""
    desk.write("tea.md", "green tea")
    assert await desk.ids("tea") == ["tea"]
    desk.folder.rename(desk.workspace / "old")
    desk.write("coffee.md", "black coffee")
    assert await desk.ids("tea") == []
    assert await desk.ids("coffee") == ["coffee"]


async def test_a_restart_keeps_all(desk: Desk) -> None:
    """What was noted, and what a human changed while nothing ran."""
    await desk.save("green tea", title="Tea")
    desk.write("coffee.md", "black coffee")
    await desk.restart()
    (desk.folder / "coffee.md").write_text("white coffee")
    assert await desk.ids("green") == ["tea"]
    assert await desk.ids("black") == []
    assert await desk.ids("white") == ["coffee"]


async def _let_go(path: Path) -> None:
    """Wait until nobody has the file open: who is last takes the log beside it away."""
    async with asyncio.timeout(20):
        while path.with_name(path.name + "-wal").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def _bits(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 97):
        data[at] ^= 0xFF
    path.write_bytes(data)


def _other_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE note")
        database.execute("PRAGMA user_version = 99")
    database.close()


def _no_table(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE note")
    database.close()


@pytest.mark.parametrize("damage", [_garbage, _bits, _other_version, _no_table, Path.unlink])
async def test_a_damaged_index_is_made_anew(desk: Desk, damage: Callable[[Path], None]) -> None:
    """It is told where it was damage, and no note is missed."""
    for number in range(30):
        await desk.save(f"green tea number {number} " + "and more words " * 20)
    await desk.restart()
    await desk.ids("green")
    await desk.kit.close()
    await _let_go(desk.index)
    damage(desk.index)
    await desk.restart()
    assert len(await desk.ids("green tea", limit=50)) == 30
    assert sound(desk.index) == ""
    assert ("memory_index" in desk.notices()) == (damage in (_garbage, _bits, _no_table))


async def test_an_index_that_cannot_be_kept_is_held_in_memory(desk: Desk) -> None:
    """The notes are found all the same, and it is told."""
    desk.index.parent.mkdir()
    desk.index.mkdir()
    await desk.save("green tea")
    assert await desk.ids("tea") == ["green-tea"]
    assert "memory_index" in desk.notices()


async def test_the_index_is_private(desk: Desk) -> None:
    """It holds what the notes hold."""
    before = os.umask(0)
    try:
        await desk.save("green tea")
    finally:
        os.umask(before)
    for path in desk.index.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_reindexing_counts_the_notes(desk: Desk) -> None:
    """All of them, and what is gone is gone."""
    await desk.save("green tea")
    desk.write("b.md", "b")
    assert await desk.kit.books.reindex(desk.bench()) == 2
    assert await desk.ids("tea") == ["green-tea"]


async def test_a_search_without_notes_makes_nothing(desk: Desk) -> None:
    """A session that never noted anything has neither folder nor index."""
    assert await desk.ids("tea") == []
    assert await desk.recalled("tea") == ""
    assert not desk.folder.exists()
    assert not desk.index.exists()


def test_without_notices_of_the_system_the_folder_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that come and go count at once, an edit in place after a while."""
    monkeypatch.setattr("clawd.tools.memory.shelf._SCAN_SECONDS", 0.0)
    monkeypatch.setattr("clawd.tools.memory.shelf._SCAN_SHARE", 0.0)
    news = FolderNews()
    news.close()
    folder = tmp_path / "memory"
    folder.mkdir()
    shelf = Shelf(tmp_path, tmp_path / "state" / "s.sqlite", news)
    (folder / "a.md").write_text("green tea")
    assert [f.note.id for f in shelf.search("tea", 5)] == ["a"]
    (folder / "a.md").write_text("green coffee")
    (folder / "b.md").write_text("tea for two")
    assert [f.note.id for f in shelf.search("tea", 5)] == ["b"]
    shelf.close()


def test_a_queue_that_ran_over_misses_nothing(tmp_path: Path) -> None:
    """More changes than the system remembers: the folder is looked at anew."""
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "tea.md").write_text("green tea")
    shelf = Shelf(tmp_path, tmp_path / "state" / "s.sqlite", FolderNews())
    assert [f.note.id for f in shelf.search("tea", 5)] == ["tea"]
    descriptor = os.open(folder, os.O_RDONLY)
    for number in range(10_000):
        os.close(os.open(f"x{number % 2}", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
        os.unlink(f"x{number % 2}", dir_fd=descriptor)
    os.close(descriptor)
    (folder / "late.md").write_text("late tea")
    assert {f.note.id for f in shelf.search("tea", 5)} == {"tea", "late"}
    shelf.close()
