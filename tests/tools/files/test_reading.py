"""Reading: parts of text with line numbers; a word on everything that is no such text."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tools.files.conftest import Desk

from clawd.tools.files.ground import Ground
from clawd.tools.files.reading import MAX_LINE, MAX_READ, MAX_SHOWN, read_part


async def test_a_part_of_a_file(desk: Desk, root: Path) -> None:
    """Lines have their numbers; the answer says what there is and how to read on."""
    (root / "a.txt").write_text("".join(f"line {n}\n" for n in range(1, 11)))
    answer = await desk.do("read_file", path="a.txt", offset=3, limit=2)
    assert answer.text.splitlines() == [
        "a.txt: lines 3 to 4 of 10, 71 bytes; read on with offset 5",
        "3\tline 3",
        "4\tline 4",
    ]
    assert answer.facts == {"path": "a.txt", "bytes": 71, "first": 3, "last": 4, "lines": 10}
    assert (await desk.text("read_file", path="a.txt")).endswith("10\tline 10")
    assert await desk.refused("read_file", path="a.txt", offset=11) == "past_the_end"
    for wrong in ({"offset": 0}, {"offset": -1}, {"limit": 0}, {"limit": 10**6}):
        assert await desk.refused("read_file", path="a.txt", **wrong) == "invalid_arguments"


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"x", ["1\tx"]),
        (b"\n", ["1\t"]),
        (b"a\n\nb", ["1\ta", "2\t", "3\tb"]),
        (b"a\r\nb\r\n", ["1\ta", "2\tb"]),
        ("a\u2028b\u0085c\n".encode(), ["1\ta\u2028b\u0085c"]),
        (b"gr\xfcezi\n", ["1\tgr\ufffdezi"]),
        ("\ufffd real\n".encode(), ["1\t\ufffd real"]),
    ],
)
async def test_what_a_line_is(desk: Desk, root: Path, data: bytes, lines: list[str]) -> None:
    """Lines end at LF; what is not UTF-8 and a CR at their ends are told, not hidden."""
    (root / "a").write_bytes(data)
    head, *shown = (await desk.text("read_file", path="a")).split("\n")
    assert shown == lines
    assert ("CRLF" in head) == (b"\r\n" in data)
    assert ("not UTF-8" in head) == (b"\xfc" in data)


async def test_what_is_long_is_cut_visibly(desk: Desk, root: Path) -> None:
    """One call shows a bounded text, whatever the file: of long lines their beginning."""
    (root / "long").write_text("é" * 1_000_000 + "\nshort\n")
    text = await desk.text("read_file", path="long")
    assert "é" * MAX_LINE + "… [clawd: the line has 2,000,000 bytes]" in text
    assert text.endswith("2\tshort")
    (root / "many").write_text(("x" * 99 + "\n") * 100_000)
    answer = await desk.do("read_file", path="many", offset=90_000, limit=10_000)
    assert len(answer.text) < MAX_SHOWN + 1000
    assert answer.facts is not None
    assert answer.facts["first"] == 90_000
    assert f"read on with offset {answer.facts['last'] + 1}" in answer.text


async def test_binary_and_huge_files_are_summed_up(desk: Desk, root: Path) -> None:
    """B28: their kind, size and first bytes; nothing that takes memory or a model's window."""
    (root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(5000))
    (root / "noise").write_bytes(b"\x00" + b"\xff" * 100)
    (root / "wide").write_text("hello", encoding="utf-16")
    (root / "sparse").touch()
    os.truncate(root / "sparse", 2**40)
    (root / "big.log").write_bytes(b"the beginning\n" * 1000)
    os.truncate(root / "big.log", MAX_READ + 1)
    (root / "big.txt").write_bytes(b"the beginning\n" * (MAX_READ // 14 + 1))
    text = await desk.text("read_file", path="a.png")
    assert text.startswith("a.png: binary (PNG image), 5,016 bytes; the first: 89 50 4e 47 0d 0a")
    assert "binary (data), 101 bytes" in await desk.text("read_file", path="noise")
    assert "UTF-16 text" in await desk.text("read_file", path="wide")
    assert "1,099,511,627,776 bytes" in await desk.text("read_file", path="sparse")
    for name in ("big.txt", "big.log"):
        text = await desk.text("read_file", path=name)
        assert "too large to be read in parts" in text
        assert len(text) < 10_000


async def test_a_name_that_is_not_there(desk: Desk, root: Path) -> None:
    """The error offers the name that was probably meant."""
    (root / "notes").mkdir()
    (root / "notes" / "report.md").write_text("x")
    tool = desk.kit.tools(desk.bench())["read_file"]
    with pytest.raises(Exception, match=r"there is no notes/reprot\.md") as missing:
        await tool.call({"path": "notes/reprot.md"})
    assert getattr(missing.value, "hint", "") == "did you mean notes/report.md?"


async def test_the_tools_are_there_or_not(root: Path) -> None:
    """``tools.files`` turns all of them off, and the sentence on them in the prompt."""
    on, off = Desk(root), Desk(root, files=False)
    assert sorted(on.kit.tools(on.bench())) == [
        "delete_file",
        "edit_file",
        "find_files",
        "list_dir",
        "read_file",
        "search_text",
        "write_file",
    ]
    assert "you may write MEMORY.md;" in on.kit.permission(on.bench())
    assert off.kit.tools(off.bench()) == {}
    assert off.kit.permission(off.bench()) == ""


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["", "a", "bb", "é" * 40_000, "x" * 70_000, "y" * 300]), max_size=12),
    st.booleans(),
    st.integers(1, 13),
    st.integers(1, 13),
)
def test_each_line_once(lines: list[str], ended: bool, offset: int, limit: int) -> None:
    """However long lines are, each has its number and its beginning, and none is left out."""
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    wanted = text.removesuffix("\n").split("\n") if text else []
    if offset > len(wanted):
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a").write_text(text)
        ground = Ground(Path(folder), (), threading.Lock())
        part = read_part(ground, "a", offset, limit)
    assert part.lines == len(wanted)
    shown = part.text.split("\n")
    assert len(shown) == part.last - offset + 1 == min(limit, len(wanted) - offset + 1)
    for number, line in enumerate(shown, offset):
        whole = wanted[number - 1]
        cut = len(whole) > MAX_LINE
        assert line.startswith(f"{number}\t{whole[:MAX_LINE]}")
        assert ("[clawd:" in line) == cut
