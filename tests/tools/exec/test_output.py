"""What a command writes: in pieces as they come, kept, cut, and read again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clawd.tools.exec.output import HEAD_BYTES, MOST_PRIVATE_BYTES, SHOWN_BYTES, TAIL_BYTES, Output


class Pieces:
    """A source that gives these pieces, one a read."""

    def __init__(self, *pieces: bytes) -> None:
        self._left = list(pieces)

    async def read(self, n: int = -1) -> bytes:
        """The next one; ``n`` is not looked at."""
        return self._left.pop(0) if self._left else b""


@pytest.mark.parametrize("size", [0, 1, SHOWN_BYTES - 1, SHOWN_BYTES])
async def test_a_short_one_is_whole_and_leaves_no_file(tmp_path: Path, size: int) -> None:
    """Up to what an answer shows there is nothing to keep."""
    output = Output(tmp_path / "out.txt")
    await output.take(Pieces(*[b"x" * 1000] * (size // 1000), b"x" * (size % 1000)))
    assert output.shown() == "x" * size
    assert output.kept is None
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("piece", [1, 777, 40_000])
async def test_a_long_one_is_cut_and_kept(tmp_path: Path, piece: int) -> None:
    """Whatever the pieces: the start, the end, how much is left out; the file has all of it."""
    data = bytes(65 + n % 26 for n in range(SHOWN_BYTES + 5000))
    output = Output(tmp_path / "out.txt")
    await output.take(Pieces(*(data[n : n + piece] for n in range(0, len(data), piece))))
    head, mark, tail = output.shown().split("\n")
    assert head == data[:HEAD_BYTES].decode()
    assert mark == "[clawd: 5000 bytes are left out here]"
    assert tail == data[-TAIL_BYTES:].decode()
    assert (tmp_path / "out.txt").read_bytes() == data
    assert output.read(10, 20) == data[10:30]
    assert output.read(len(data) - 5, 100) == data[-5:]
    output.close()


async def test_a_flood_is_taken_to_its_bound() -> None:
    """What comes after is dropped, and nothing waits for it."""
    output = Output(None)
    await output.take(Pieces(*[b"x" * 2**20] * 10))
    assert output.full
    assert output.size == MOST_PRIVATE_BYTES
    output.close()


async def test_a_full_disk_costs_the_rest_and_not_the_call(tmp_path: Path) -> None:
    """The answer still has the start and the end, and says what is missing."""
    output = Output(tmp_path / "no such folder" / "out.txt")
    await output.take(Pieces(b"a" * 20_000, b"b" * 20_000))
    assert output.shown().startswith("aaa")
    assert output.shown().endswith("bbb")
    assert output.problem == "no such file or directory"


async def test_what_is_told_is_bounded(tmp_path: Path) -> None:
    """Pieces that come at once are told together, the last 2 KiB of them."""
    told: list[str] = []
    output = Output(tmp_path / "out.txt", told.append)
    await output.take(Pieces(b"first\n", *[b"y" * 1000] * 10, b"last\n"))
    assert told[0] == "first\n"
    assert told[1].startswith("[clawd: 7957 bytes are not shown]\ny")
    assert told[1].endswith("last\n")
    assert len(told) == 2


async def test_news_end_a_wait(tmp_path: Path) -> None:
    """What there is already, what comes, the end, and the time."""
    output = Output(tmp_path / "out.txt")
    await output.news(0, 0.01)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(output.news(0, 20))
        group.create_task(output.take(Pieces(b"x")))
    assert waiting.done()
    await output.news(0, 20)
    await output.news(1, 20)
    assert output.ended
