"""Lists, names and texts: found in order, bounded in time and size."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.tools.files.conftest import Desk

from clawd.tools.files import listing, searching, walking
from clawd.tools.files.listing import fits


@pytest.fixture
def filled(root: Path) -> Path:
    """A workspace with a few files."""
    for name in ("b.md", "a.md", "sub/c.md", "sub/deep/d.md", "sub/e.txt", ".trash/f.md"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"first of {path.name}\nNeedle (x)\n")
    (root / "history.jsonl").write_text("Needle\n")
    (root / "two words.md").write_text("")
    (root / "away").symlink_to("/etc")
    return root


async def test_a_folder_is_listed(desk: Desk, filled: Path) -> None:
    """Folders first, then by name; names that could be taken for words stand in quotes."""
    text = await desk.text("list_dir")
    names = [line.split("  ")[0] for line in text.splitlines()]
    assert names == [
        ".: 6 entries", "- sub/", "- a.md", "- away -> /etc", "- b.md", "- history.jsonl",
        '- "two words.md"',
    ]  # fmt: skip
    assert "history.jsonl  7 bytes  " in text
    assert "(kept by clawd)" in text
    assert "- f.md  25 bytes" in await desk.text("list_dir", path=".trash")
    for path in ("sub/deep", "./sub/deep/", str(filled / "sub/deep")):
        assert "- d.md" in await desk.text("list_dir", path=path)
    assert await desk.refused("list_dir", path="a.md") == "not_a_folder"


async def test_odd_names_are_shown_harmlessly(desk: Desk, root: Path) -> None:
    """A name cannot end its quotes, its line, or the answer; bytes that are no text do not fail."""
    for name in (b"a\nb", b'q"q', b"\xff\xfe", b"\x1b[2J", "\u202e".encode()):
        os.close(os.open(os.fsencode(root) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    for tool, more in (("list_dir", {}), ("find_files", {"pattern": "*"})):
        text = (await desk.do(tool, **more)).render()
        assert len(text.splitlines()) == 7
        assert '- "a\\u000ab"' in text
        assert '- "q\\u0022q"' in text
        assert "\x1b" not in text


async def test_files_are_found_by_name(desk: Desk, filled: Path) -> None:
    """A name anywhere, or a path below the folder; trash and the daemon's own are left out."""

    async def found(pattern: str, **more: str) -> list[str]:
        text = await desk.text("find_files", pattern=pattern, **more)
        return [line[2:].split("  ")[0] for line in text.splitlines()[1:]]

    assert await found("?.md") == ["a.md", "b.md", "sub/c.md", "sub/deep/d.md"]
    assert await found("sub/*.md") == ["sub/c.md"]
    assert await found("sub/**/*.md") == ["sub/c.md", "sub/deep/d.md"]
    assert await found("**/deep/*") == ["sub/deep/d.md"]
    assert await found("*.md", path="sub") == ["sub/c.md", "sub/deep/d.md"]
    assert await found("deep/*", path="./sub/") == ["sub/deep/d.md"]
    assert await found("*.jsonl") == []
    assert await found("f.md", path=".trash") == [".trash/f.md"]
    assert await found("nothing*") == []
    assert await desk.refused("find_files", pattern="") == "invalid_pattern"
    assert await desk.refused("find_files", pattern="*", path="nowhere") == "file_not_found"


def test_patterns_of_many_stars_take_no_time() -> None:
    """A pattern cannot be written for which the match takes long."""
    began = time.monotonic()
    assert not fits(["a" * 200] * 60, ["**", "*a*a*a*a*a*a*a*a*a*b"] * 40)
    assert not fits(["a"] * 64, ["**"] * 200 + ["b"])
    assert fits(["a"] * 64, ["**"] * 200 + ["a"])
    assert fits([], ["**"])
    assert time.monotonic() - began < 2


async def test_texts_are_found(desk: Desk, filled: Path) -> None:
    """Line by line, in order; a text as it stands unless it is called a regular expression."""
    assert (await desk.text("search_text", query="Needle (x)")).splitlines() == [
        "5 lines found in 6 files",
        "a.md:2: Needle (x)",
        "b.md:2: Needle (x)",
        "sub/c.md:2: Needle (x)",
        "sub/deep/d.md:2: Needle (x)",
        "sub/e.txt:2: Needle (x)",
    ]
    only = await desk.text("search_text", query="needle", ignore_case=True, pattern="sub/**/*.md")
    assert [line.split(":")[0] for line in only.splitlines()[1:]] == ["sub/c.md", "sub/deep/d.md"]
    text = await desk.text("search_text", query=r"^first.*[cd]\.md$", regex=True, path="sub")
    assert text.startswith("2 lines found in 3 files\nsub/c.md:1: ")
    assert "1 line found" in await desk.text("search_text", query="Needle", path="a.md")
    assert "1 line found" in await desk.text("search_text", query="Needle", path="history.jsonl")
    assert "no lines found" in await desk.text("search_text", query="needle")
    for wrong in ("", "a\nb", "x" * 2000):
        assert await desk.refused("search_text", query=wrong) == "invalid_query"
    for wrong in ("(", "a{2}{3}", "(" * 500 + ")" * 500, "\\"):
        code = await desk.refused("search_text", query=wrong, regex=True)
        assert code == "invalid_pattern"


async def test_what_is_passed_over_is_said(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binary, large and hard-linked files are counted; a limit that was reached is named."""
    (root / "binary").write_bytes(b"Needle\0")
    (root / "text").write_text("Needle\n" * 5)
    (root / "sparse").touch()
    os.truncate(root / "sparse", 2**40)
    os.mkfifo(root / "pipe")
    text = await desk.text("search_text", query="Needle", limit=3)
    assert "3 lines found in 1 file" in text
    assert "2 passed over" in text
    assert "(stopped at 3 lines)" in text
    monkeypatch.setattr(searching, "MAX_BYTES", 10)
    assert "(stopped after" in await desk.text("search_text", query="Needle")
    (root / "deep" / "er").mkdir(parents=True)
    monkeypatch.setattr(walking, "MAX_DEPTH", 1)
    (root / "deep" / "er" / "x").write_text("x")
    assert "deeper than 1" in await desk.text("find_files", pattern="x")
    monkeypatch.setattr(listing, "MAX_LISTED", 2)
    assert (await desk.text("list_dir")).endswith("… and 3 more")


async def test_an_endless_expression_is_stopped(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern that would take years ends with the time of a search, and holds nobody up."""
    (root / "a").write_text("a" * 60 + "b\n")
    monkeypatch.setattr(walking, "SECONDS", 0.3)
    began = time.monotonic()
    text = await desk.text("search_text", query="(a|aa)+$", regex=True)
    assert "(stopped after 0.3 s)" in text
    assert time.monotonic() - began < 5
