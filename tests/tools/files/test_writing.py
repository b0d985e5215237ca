"""Writing and editing: whole or not at all, and what an edit changed is shown."""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tools.files.conftest import Desk

from clawd.tools.files.diff import unified
from clawd.tools.files.writing import MAX_WRITTEN


def mode_of(path: Path) -> int:
    """The rights of a file."""
    return path.stat().st_mode & 0o777


async def test_a_file_is_made_and_replaced(desk: Desk, root: Path) -> None:
    """Missing folders are made; a new file is private, and what was there keeps its mode."""
    answer = await desk.do("write_file", path="a/b/c.txt", content="grüezi\n")
    assert answer.text == "a/b/c.txt was made: 8 bytes"
    assert answer.facts == {"path": "a/b/c.txt", "bytes": 8}
    path = root / "a/b/c.txt"
    assert path.read_text() == "grüezi\n"
    assert mode_of(path) == 0o600
    assert mode_of(path.parent) == 0o700
    path.chmod(0o755)
    assert "was written" in await desk.text("write_file", path="a/b/c.txt", content="")
    assert path.read_bytes() == b""
    assert mode_of(path) == 0o755
    assert [p.name for p in path.parent.iterdir()] == ["c.txt"]


async def test_what_is_too_much_is_refused(desk: Desk, root: Path) -> None:
    """A size that is over the limit, half a character: nothing is made, not even a folder."""
    many = "x" * (MAX_WRITTEN + 1)
    assert await desk.refused("write_file", path="a/big", content=many) == "too_large"
    assert await desk.refused("write_file", path="a/b", content="\ud800") == "invalid_text"
    assert os.listdir(root) == []
    (root / "a").write_text("ab" * 1000)
    grown = {"path": "a", "old": "a", "new": "y" * (MAX_WRITTEN // 10), "replace_all": True}
    assert await desk.refused("edit_file", **grown) == "too_large"
    (root / "sparse").touch()
    os.truncate(root / "sparse", 2**40)
    assert await desk.refused("edit_file", path="sparse", old="a", new="b") == "too_large"


async def test_an_edit_needs_one_place(desk: Desk, root: Path) -> None:
    """A passage that is not there, or more than once, is refused with what would help."""
    (root / "a.txt").write_text("one\ntwo\n    three\ntwo\n")
    assert await desk.refused("edit_file", path="a.txt", old="four", new="4") == "no_match"
    assert await desk.refused("edit_file", path="a.txt", old="two", new="2") == "not_unique"
    assert await desk.refused("edit_file", path="a.txt", old="", new="2") == "invalid_edit"
    assert await desk.refused("edit_file", path="a.txt", old="one", new="one") == "invalid_edit"
    assert await desk.refused("edit_file", path="b.txt", old="one", new="1") == "file_not_found"
    tool = desk.kit.tools(desk.bench())["edit_file"]
    with pytest.raises(Exception, match="not in") as missing:
        await tool.call({"path": "a.txt", "old": "\tthree", "new": "3"})
    assert "line 3 has the same words" in getattr(missing.value, "hint", "")
    with pytest.raises(Exception, match=r"\(lines 2, 4\)"):
        await tool.call({"path": "a.txt", "old": "two", "new": "2"})
    answer = await desk.do("edit_file", path="a.txt", old="two\n    three", new="2\n    3")
    assert answer.text.splitlines() == [
        "a.txt was edited:",
        "@@ -1,4 +1,4 @@",
        " one",
        "-two",
        "-    three",
        "+2",
        "+    3",
        " two",
    ]
    answer = await desk.do("edit_file", path="a.txt", old="o", new="0", replace_all=True)
    assert (root / "a.txt").read_text() == "0ne\n2\n    3\ntw0\n"
    assert answer.facts == {"path": "a.txt", "bytes": 16, "replaced": 2}


async def test_an_edit_changes_nothing_else(desk: Desk, root: Path) -> None:
    """Line ends, a byte order mark and bytes that are no UTF-8 stay as they are."""
    path = root / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\nthr\xeee\r\n")
    await desk.do("edit_file", path="a.txt", old="one\ntwo", new="1\n2\n2b")
    assert path.read_bytes() == b"\xef\xbb\xbf1\r\n2\r\n2b\r\nthr\xeee\r\n"
    (root / "b").write_bytes(b"\0\1\2old")
    assert await desk.refused("edit_file", path="b", old="old", new="new") == "binary_file"


async def test_edits_at_once_do_not_undo_each_other(desk: Desk, root: Path) -> None:
    """A model's calls run side by side: each edit sees what the others did."""
    (root / "a.txt").write_text("".join(f"<{n}>\n" for n in range(20)))
    async with asyncio.TaskGroup() as group:
        for n in range(20):
            edit = desk.do("edit_file", path="a.txt", old=f"<{n}>", new=f"[{n}]")
            group.create_task(edit)
    assert (root / "a.txt").read_text() == "".join(f"[{n}]\n" for n in range(20))


async def test_what_a_killed_daemon_left_goes(desk: Desk, root: Path) -> None:
    """An unfinished file of a write that never ended is removed by a later one."""
    left, fresh = root / ".write.1-00000000.tmp", root / ".write.2-00000000.tmp"
    for path in (left, fresh):
        path.write_text("half")
    os.utime(left, (1, 1))
    await desk.do("write_file", path="a", content="x")
    assert set(os.listdir(root)) == {"a", fresh.name}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
async def test_a_folder_that_cannot_be_written(desk: Desk, root: Path) -> None:
    """What the system forbids is said, with the path."""
    (root / "a").mkdir(0o500)
    assert await desk.refused("write_file", path="a/b", content="x") == "permission_denied"


async def test_a_workspace_that_is_gone(desk: Desk, root: Path) -> None:
    """F15: without its folder every tool says so, and none makes it anew."""
    os.rmdir(root)
    for tool, more in (
        ("read_file", {}), ("write_file", {"content": "x"}), ("delete_file", {}),
        ("edit_file", {"old": "a", "new": "b"}), ("list_dir", {}), ("search_text", {"query": "x"}),
    ):  # fmt: skip
        assert await desk.refused(tool, path="a", **more) == "file_not_found"
    assert root.name not in os.listdir(root.parent)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "ab", "", "old", "x old y"]), max_size=40),
    st.sampled_from(["old", "a", "b\na", "\n", "old\n", "ab\nold"]),
    st.sampled_from(["new", "", "n\nm", "\n\n", "x\n"]),
)
def test_a_diff_leads_from_the_old_to_the_new(lines: list[str], old: str, new: str) -> None:
    """Every line that the diff takes out or leaves was there, in its place; so is the result."""
    text = "\n".join(lines)
    if old not in text:
        return
    before, after = text.split("\n"), text.replace(old, new).split("\n")
    shown = unified(text, old, new).split("\n")
    removed = sum(line.startswith("-") for line in shown)
    added = sum(line.startswith("+") for line in shown)
    if not any(line.startswith("…") for line in shown):
        assert added - removed == len(after) - len(before)
    at = -1
    for line in shown:
        if line.startswith("@@"):
            at = int(line.split()[1][1:].split(",")[0]) - 1
        elif line[:1] in (" ", "-") and not line.startswith("…"):
            assert before[at] == line[1:]
            at += 1
    whole = list(difflib.unified_diff(before, after, n=0, lineterm=""))
    assert bool(whole) == bool(removed or added)
