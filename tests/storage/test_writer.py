"""The writer: acknowledged means on disk, refused means not a byte, whatever the disk does."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from clawd.errors import StorageError
from clawd.storage.writer import Writer


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    """A writer with room for three open files."""
    writer = Writer(open_files=3)
    writer.start()
    yield writer
    await writer.close()


async def refused(writer: Writer, path: Path, data: bytes = b"lost\n") -> StorageError:
    """The error of an append that must fail."""
    with pytest.raises(StorageError) as refusal:
        await writer.append(path, data)
    assert str(path) in refusal.value.message
    return refusal.value


async def test_thousand_appenders_over_fifty_files(writer: Writer, tmp_path: Path) -> None:
    """Every line of every caller is whole, once, and in the order of the calls for its file."""
    async with asyncio.TaskGroup() as group:
        for n in range(1000):
            group.create_task(writer.append(tmp_path / f"{n % 50}", b"%d\n" % n * 3))
    for k in range(50):
        expected = [str(n) for n in range(k, 1000, 50) for _ in range(3)]
        assert (tmp_path / f"{k}").read_text().split() == expected
    assert len(os.listdir("/proc/self/fd")) < 40


async def test_group_shares_one_sync(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred callers at a time cost a few syncs, and none returns before its own."""
    synced: list[int] = []
    real = os.fdatasync

    def counting(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        real(descriptor)
        synced.append(size)

    monkeypatch.setattr(os, "fdatasync", counting)

    async def append(n: int) -> None:
        line = b"%03d\n" % n
        await writer.append(tmp_path / "log", line)
        at = (tmp_path / "log").read_bytes().index(line)
        assert synced[-1] >= at + len(line)

    async with asyncio.TaskGroup() as group:
        for n in range(100):
            group.create_task(append(n))
    assert len(synced) <= 10


async def test_new_files_name_is_on_disk_too(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a new, a removed and a replaced file is synced, once, before the answer."""
    synced: list[int] = []
    real = os.fsync

    def recording(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", recording)
    folder = os.stat(tmp_path).st_ino
    for expected in (1, 1, 2):
        await writer.append(tmp_path / "log", b"line\n")
        assert synced.count(folder) == expected
        if expected == 1 and len((tmp_path / "log").read_bytes()) > len(b"line\n"):
            os.rename(tmp_path / "log", tmp_path / "old")
    await writer.replace(tmp_path / "log", lambda: [b"new\n"])
    assert synced.count(folder) == 3


async def test_not_whole_lines_are_refused(writer: Writer, tmp_path: Path) -> None:
    """What does not end in LF never reaches a file."""
    for data in (b"", b"x", b"x\ny"):
        with pytest.raises(ValueError, match="LF"):
            await writer.append(tmp_path / "log", data)
    error = await refused(writer, tmp_path / "log", b"a\n" + b"x" * 2**21 + b"\n")
    assert error.code == "line_too_large"
    assert not (tmp_path / "log").exists()


async def test_several_lines_may_exceed_one_lines_limit(tmp_path: Path) -> None:
    """The limit is on each line, not on what is appended together."""
    writer = Writer(max_line_bytes=10)
    writer.start()
    await writer.append(tmp_path / "log", b"123456789\n" * 5)
    await refused(writer, tmp_path / "log", b"123456789\n1234567890\n")
    await writer.close()
    assert (tmp_path / "log").read_bytes() == b"123456789\n" * 5


async def test_cancelled_caller_disturbs_nobody(writer: Writer, tmp_path: Path) -> None:
    """A cancelled append is stored whole or not at all, and its neighbours are stored."""
    path = tmp_path / "log"
    tasks = [asyncio.create_task(writer.append(path, b"%04d\n" % n)) for n in range(200)]
    started = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(started.set_result, None)
    await started
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    lines = path.read_bytes().split(b"\n")[:-1]
    assert set(lines) <= {b"%04d" % n for n in range(200)}
    assert len(set(lines)) == len(lines)
    assert {b"%04d" % n for n in range(1, 200, 2)} <= set(lines)
    assert [type(result) for result in results[1::2]] == [type(None)] * 100
    await writer.append(path, b"after\n")


async def test_close_finishes_what_was_accepted(tmp_path: Path) -> None:
    """Closing waits for the lines that are under way, and refuses later ones."""
    writer = Writer()
    writer.start()
    async with asyncio.TaskGroup() as group:
        for n in range(100):
            group.create_task(writer.append(tmp_path / "log", b"%d\n" % n))
        group.create_task(writer.close())
    await writer.close()
    assert len((tmp_path / "log").read_bytes().split()) == 100
    assert "closed" in (await refused(writer, tmp_path / "log")).message


@pytest.mark.parametrize("replacement", [b"", b"other\n", b"other"])
async def test_file_replaced_while_open(writer: Writer, tmp_path: Path, replacement: bytes) -> None:
    """An editor's atomic save is what later lines are added to, never the file it replaced."""
    path = tmp_path / "log"
    await writer.append(path, b"one\n")
    (tmp_path / "new").write_bytes(replacement)
    os.rename(tmp_path / "new", path)
    await writer.append(path, b"two\n")
    expected = replacement + (b"\n" if replacement == b"other" else b"")
    assert path.read_bytes() == expected + b"two\n"


async def test_file_edited_in_place(writer: Writer, tmp_path: Path) -> None:
    """Text that another hand left without LF is ended first: a line is never glued to it."""
    path = tmp_path / "log"
    await writer.append(path, b"one\n")
    with path.open("ab") as file:
        file.write(b"by hand")
    await writer.append(path, b"two\n")
    os.truncate(path, 2)
    await writer.append(path, b"three\n")
    assert path.read_bytes() == b"on\nthree\n"


async def test_file_removed_while_open(writer: Writer, tmp_path: Path) -> None:
    """A removed file begins anew: nothing is acknowledged into a file without a name."""
    path = tmp_path / "log"
    await writer.append(path, b"one\n")
    path.unlink()
    await writer.append(path, b"two\n")
    assert path.read_bytes() == b"two\n"


async def test_folder_removed_while_open(writer: Writer, tmp_path: Path) -> None:
    """A folder that is gone is an error with its mend, is not made again, and may come back."""
    path = tmp_path / "workspace" / "log"
    path.parent.mkdir()
    await writer.append(path, b"one\n")
    path.unlink()
    path.parent.rmdir()
    error = await refused(writer, path)
    assert (error.code, error.facts["errno"]) == ("storage_error", errno.ENOENT)
    assert "folder" in error.hint
    assert not path.parent.exists()
    path.parent.mkdir()
    await writer.append(path, b"two\n")
    assert path.read_bytes() == b"two\n"


async def test_what_is_not_a_regular_file_is_refused(writer: Writer, tmp_path: Path) -> None:
    """A link, a pipe, a device and a folder are refused at once, and nothing goes into them."""
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "link", tmp_path / "pipe", tmp_path / "folder", Path("/dev/null")):
        async with asyncio.timeout(5):
            await refused(writer, path)
    assert (tmp_path / "target").read_bytes() == b""


async def test_short_writes_are_completed(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that takes a few bytes at a time still gets every byte, in order."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda at, data: real(at, data[:3]))
    await writer.append(tmp_path / "log", b"a longer line\nand one more\n")
    monkeypatch.undo()
    assert (tmp_path / "log").read_bytes() == b"a longer line\nand one more\n"


async def test_failed_sync_fails_its_batch_and_nothing_else(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After EIO from fdatasync the lines are taken back and refused; the next line is good.

    The descriptor that failed is not asked a second time.
    """
    path = tmp_path / "log"
    await writer.append(path, b"one\n")
    asked: list[int] = []

    def failing(descriptor: int) -> None:
        asked.append(os.fstat(descriptor).st_ino)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", failing)
    error = await refused(writer, path)
    monkeypatch.undo()
    assert (error.code, error.facts["errno"], len(asked)) == ("storage_error", errno.EIO, 1)
    assert path.read_bytes() == b"one\n"
    await writer.append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


async def test_lines_that_wait_for_the_next_sync(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the file at once, cost no sync, and share the fate of the next one."""
    path = tmp_path / "log"
    real, synced, broken = os.fdatasync, [0], [False]

    def counting(descriptor: int) -> None:
        if broken[0]:
            broken[0] = False
            raise OSError(errno.EIO, "the disk failed")
        real(descriptor)
        synced[0] += 1

    monkeypatch.setattr(os, "fdatasync", counting)
    await writer.append(path, b"one\n")
    await writer.append(path, b"two\n", sync=False)
    assert (path.read_bytes(), synced[0]) == (b"one\ntwo\n", 1)
    await writer.append(path, b"three\n")
    assert (path.read_bytes(), synced[0]) == (b"one\ntwo\nthree\n", 2)
    await writer.append(path, b"four\n", sync=False)
    broken[0] = True
    await refused(writer, path)
    assert path.read_bytes() == b"one\ntwo\nthree\n", "what no sync vouched for is taken back"
    await writer.append(path, b"five\n")
    assert path.read_bytes() == b"one\ntwo\nthree\nfive\n"


async def test_lines_that_cannot_be_taken_back_are_cut_before_the_next(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when cutting back fails too, no refused byte is left once the file is written again."""
    path = tmp_path / "log"
    await writer.append(path, b"one\n")

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", failing)
    monkeypatch.setattr(os, "ftruncate", failing)
    await refused(writer, path)
    await refused(writer, path, b"refused as well\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"one\nlost\n"
    await writer.append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("ended", [True, False])
async def test_refused_lines_do_not_wait_for_the_next_append(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """What could not be taken back goes as soon as the disk works, and when the writer ends.

    A start must not find a line that was refused.
    """
    path = tmp_path / "log"
    await writer.append(path, b"one\n")

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", failing)
    monkeypatch.setattr(os, "ftruncate", failing)
    await refused(writer, path)
    assert path.read_bytes() == b"one\nlost\n"
    monkeypatch.undo()
    if ended:
        await writer.close()
    async with asyncio.timeout(5):
        while path.read_bytes() != b"one\n":  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.05)


@pytest.fixture
def small_files() -> Iterator[int]:
    """No file may grow over this many bytes (a write is cut short there, then refused)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield 10_000
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_files")
async def test_long_line_takes_no_other_with_it(writer: Writer, tmp_path: Path) -> None:
    """When only one caller's line does not fit, that one alone is refused, without a trace."""
    path = tmp_path / "log"
    tasks = [
        asyncio.create_task(writer.append(path, line))
        for line in (b"one\n", b"x" * 20_000 + b"\n", b"two\n")
    ]
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, third) == (None, None)
    assert isinstance(second, StorageError)
    assert second.code == "storage_full"
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_full_disk(writer: Writer, small_disk: Path) -> None:
    """On a full disk a line is acknowledged and there, or refused and not there.

    When space returns, so do appends.
    """
    (small_disk / "ballast").write_bytes(b"x" * 100_000)
    path = small_disk / "log"
    lines = [b"%05d %s\n" % (n, b"x" * 500) for n in range(500)]
    results = await asyncio.gather(
        *(writer.append(path, line) for line in lines), return_exceptions=True
    )
    stored = [line for line, result in zip(lines, results, strict=True) if result is None]
    errors = [result for result in results if isinstance(result, StorageError)]
    assert 0 < len(stored) < 500
    assert len(stored) + len(errors) == 500
    assert {error.code for error in errors} == {"storage_full"}
    assert "ENOSPC" in errors[0].message
    assert "bytes are free" in errors[0].message
    assert path.read_bytes() == b"".join(stored)
    (small_disk / "ballast").unlink()
    await writer.append(path, b"after\n")
    assert path.read_bytes() == b"".join(stored) + b"after\n"
    await writer.close()


async def test_replace_is_atomic_and_in_order(writer: Writer, tmp_path: Path) -> None:
    """A replacement sees the lines appended before it and precedes those after it."""
    path = tmp_path / "log"

    def upper() -> Iterable[bytes]:
        return [path.read_bytes().upper()]

    async with asyncio.TaskGroup() as group:
        group.create_task(writer.append(path, b"one\n"))
        sizes = group.create_task(writer.replace(path, upper))
        group.create_task(writer.append(path, b"two\n"))
    assert await sizes == (4, 4)
    assert path.read_bytes() == b"ONE\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


async def test_refused_replacement_leaves_the_old_file(writer: Writer, tmp_path: Path) -> None:
    """What the disk refuses in the middle of a replacement changes nothing and leaves nothing."""
    path = tmp_path / "log"
    await writer.append(path, b"one\n")

    def compute() -> Iterable[bytes]:
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError) as refusal:
        await writer.replace(path, compute)
    assert refusal.value.code == "storage_full"
    assert path.read_bytes() == b"one\n"
    assert os.listdir(tmp_path) == ["log"]


async def test_many_files_are_stored_at_once_and_each_error_is_its_own(tmp_path: Path) -> None:
    """Appends to many files at one moment: each file gets its lines, a bad one takes none along."""
    writer = Writer(open_files=8)
    writer.start()
    (tmp_path / "log-3").mkdir()
    paths = [tmp_path / f"log-{number}" for number in range(20)]
    results = await asyncio.gather(
        *(writer.append(path, b"%d\n" % turn) for turn in range(3) for path in paths),
        return_exceptions=True,
    )
    await writer.close()
    failed = [result for result in results if result is not None]
    assert len(failed) == 3
    assert all(isinstance(error, StorageError) for error in failed)
    assert all(path.read_bytes() == b"0\n1\n2\n" for path in paths if path.name != "log-3")
