"""Edits of the operator's files are seen however they are saved, and nothing else is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from clawd.config.watch import FolderWatch, changes

pytestmark = pytest.mark.timeout(30)
LIMIT = 5.0


class Seen:
    """What a watch reported, one set at a time."""

    def __init__(self, edits: AsyncGenerator[set[Path], None]) -> None:
        self._edits = edits

    async def until(self, *files: Path) -> set[Path]:
        """All reported files until these are among them."""
        found: set[Path] = set()
        async with asyncio.timeout(LIMIT):
            while not found.issuperset(files):
                found |= await anext(self._edits)
        return found


@asynccontextmanager
async def watching(watch: FolderWatch) -> AsyncGenerator[Seen, None]:
    """A watch that runs, and is stopped at the end."""
    stop = asyncio.Event()
    async with aclosing(watch.changes(stop)) as edits:
        yield Seen(edits)
        stop.set()


def replace(file: Path, text: str) -> None:
    """Save as editors do that write a new file and put it in place of the old one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)


async def test_every_way_of_saving_is_seen(tmp_path: Path) -> None:
    """Written anew, put in place of the old, removed, made again; again and again."""
    file = tmp_path / "config.json"
    file.write_text("1")
    async with watching(FolderWatch([tmp_path])) as seen:
        for text in ("22", "33"):
            file.write_text(text)
            assert await seen.until(file) == {file}
            replace(file, text * 2)
            assert await seen.until(file) == {file}
        file.unlink()
        assert await seen.until(file) == {file}
        file.write_text("4")
        assert await seen.until(file) == {file}


async def test_a_burst_is_one_report(tmp_path: Path) -> None:
    """Several files and several writes to each within a moment come together."""
    files = {tmp_path / name for name in ("SOUL.md", "USER.md", "MEMORY.md", "IDENTITY.md")}
    async with watching(FolderWatch([tmp_path])) as seen:
        for text in ("a", "bb", "ccc"):
            for file in files:
                file.write_text(text)
        async with asyncio.timeout(LIMIT):
            assert await anext(seen._edits) == files


async def test_other_files_are_not_reported(tmp_path: Path) -> None:
    """Neither another name, nor the same name in a folder below."""
    (tmp_path / "below").mkdir()
    async with watching(FolderWatch([tmp_path])) as seen:
        (tmp_path / "history.jsonl").write_text("x")
        (tmp_path / "below" / "SOUL.md").write_text("x")
        (tmp_path / "SOUL.md").write_text("x")
        assert await seen.until(tmp_path / "SOUL.md") == {tmp_path / "SOUL.md"}


async def test_a_busy_folder_hides_no_edit(tmp_path: Path) -> None:
    """While a log in a watched folder grows all the time, a folder that comes later is seen."""
    busy, later = tmp_path / "busy", tmp_path / "later"
    busy.mkdir()
    async with watching(FolderWatch([busy, later])) as seen, asyncio.TaskGroup() as group:
        done = asyncio.Event()

        async def keep_writing() -> None:
            while not done.is_set():
                with (busy / "history.jsonl").open("a") as log:
                    log.write("x")
                try:
                    async with asyncio.timeout(0.02):
                        await done.wait()
                except TimeoutError:
                    continue

        group.create_task(keep_writing())
        later.mkdir()
        (later / "SOUL.md").write_text("x")
        assert await seen.until(later / "SOUL.md") == {later / "SOUL.md"}
        done.set()


async def test_folders_come_and_go(tmp_path: Path) -> None:
    """A folder that is not there yet, one that vanishes and comes again, one added later."""
    late, added = tmp_path / "late", tmp_path / "added"
    watch = FolderWatch([late])
    async with watching(watch) as seen:
        late.mkdir()
        (late / "SOUL.md").write_text("1")
        await seen.until(late / "SOUL.md")
        (late / "SOUL.md").unlink()
        late.rmdir()
        await seen.until(late / "SOUL.md")
        late.mkdir()
        (late / "SOUL.md").write_text("2")
        await seen.until(late / "SOUL.md")
        added.mkdir()
        (added / "USER.md").write_text("before")
        watch.add(added)
        (added / "USER.md").write_text("afterwards")
        assert await seen.until(added / "USER.md") == {added / "USER.md"}
        watch.remove(late)
        (late / "SOUL.md").write_text("unseen")
        (added / "USER.md").write_text("seen")
        assert await seen.until(added / "USER.md") == {added / "USER.md"}


async def test_an_edit_before_the_watch_stands_is_seen(tmp_path: Path) -> None:
    """An edit counts from the moment when the folder was added, not when watching began."""
    watch = FolderWatch([tmp_path])
    (tmp_path / "SOUL.md").write_text("early")
    async with watching(watch) as seen:
        assert await seen.until(tmp_path / "SOUL.md") == {tmp_path / "SOUL.md"}


async def test_a_linked_file_is_followed(tmp_path: Path) -> None:
    """The configuration may be a link to a file elsewhere."""
    home, real = tmp_path / "home", tmp_path / "real.json"
    home.mkdir()
    real.write_text("1")
    (home / "config.json").symlink_to(real)
    async with watching(FolderWatch([home])) as seen:
        real.write_text("22")
        assert await seen.until(home / "config.json") == {home / "config.json"}


async def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """Soon after the event is set, with and without a folder to watch."""
    for folders in ([tmp_path], []):
        stop = asyncio.Event()

        async def run(folders: list[Path] = folders, stop: asyncio.Event = stop) -> None:
            async for _ in changes(folders, stop):
                pass

        async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as group:
            group.create_task(run())
            stop.set()


async def test_it_can_be_cancelled(tmp_path: Path) -> None:
    """A cancelled watch leaves at once."""
    entered = asyncio.Event()

    async def run() -> None:
        entered.set()
        async for _ in changes([tmp_path], asyncio.Event()):
            pass

    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as group:
        task = group.create_task(run())
        await entered.wait()
        task.cancel()
    assert task.cancelled()
