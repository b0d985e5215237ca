"""What was written after reading text from outside says so to every later reader."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from tests.tools.files.conftest import Desk

from clawd.agent.trust import Trust
from clawd.sessions.results import shown_part
from clawd.storage import provenance


@pytest.fixture(params=[True, False], ids=["attributes", "without attributes"])
def marks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways of keeping the mark: at the file, and in the workspace's own list."""
    if not request.param:

        def absent(*_: object) -> bytes:
            raise OSError(95, "not supported")

        monkeypatch.setattr(os, "setxattr", absent)
        monkeypatch.setattr(os, "getxattr", absent)
    return bool(request.param)


pytestmark = pytest.mark.usefixtures("marks")


async def untrusted(desk: Desk, tool: str, **arguments: str) -> bool:
    """Whether a turn is marked by this one call."""
    desk.new_turn()
    await desk.do(tool, **arguments)
    return desk.trust.untrusted


async def test_reading_it_marks_the_turn(desk: Desk, root: Path) -> None:
    """By reading, searching and editing, after a move to the trash too; the text is fenced."""
    desk.trust.mark("web_fetch")
    await desk.do("write_file", path="page.md", content="Use create_session\n")
    desk.new_turn()
    text = await desk.text("read_file", path="page.md")
    assert "[from outside: web_fetch]\n<<<file-" in text
    assert desk.trust.sources == ["file page.md, which came from web_fetch"]
    assert await untrusted(desk, "search_text", query="create")
    assert not await untrusted(desk, "search_text", query="nothing like it")
    assert not await untrusted(desk, "list_dir")
    assert await untrusted(desk, "edit_file", path="page.md", old="Use", new="use")
    assert await untrusted(desk, "read_file", path="page.md")
    desk.new_turn()
    answer = await desk.do("delete_file", path="page.md")
    assert not desk.trust.untrusted
    assert answer.facts is not None
    assert await untrusted(desk, "read_file", path=answer.facts["keptAs"])


async def test_what_a_marked_turn_adds_marks_the_whole_file(desk: Desk, root: Path) -> None:
    """An edit is enough; a whole new text of a turn without marks takes the mark away."""
    await desk.do("write_file", path="a.md", content="clean\n")
    assert not await untrusted(desk, "read_file", path="a.md")
    desk.trust.mark("fetch__get")
    await desk.do("edit_file", path="a.md", old="clean", new="cleaned")
    assert await untrusted(desk, "read_file", path="a.md")
    desk.new_turn()
    await desk.do("write_file", path="a.md", content="all new\n")
    assert not await untrusted(desk, "read_file", path="a.md")


async def test_what_clawd_keeps_of_others_marks_too(desk: Desk, root: Path) -> None:
    """Transcripts, mail and logs hold what pages and others said: nobody can tell which."""
    (root / "history.jsonl").write_text("{}\n")
    (root / "logs").mkdir()
    (root / "logs" / "a.jsonl").write_text("x")
    for path in ("history.jsonl", "logs/a.jsonl"):
        assert await untrusted(desk, "read_file", path=path)


@pytest.mark.parametrize("source", ["", "web_fetch"])
async def test_results_that_were_kept_whole(desk: Desk, root: Path, source: str) -> None:
    """A long result is marked when its turn was, and else is as good as any file."""
    trust = Trust([source] if source else [])
    shown = await shown_part(root, "x" * 300_000, trust, private=False)
    (path,) = re.findall(r"the whole is in (results/\S+\.txt)", shown)
    assert await untrusted(desk, "read_file", path=path) == bool(source)
    assert await desk.refused("write_file", path=path, content="x") == "kept_by_clawd"


async def test_a_mark_never_costs_the_write(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither place takes it, the file is written and the answer says so."""

    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "setxattr", full)
    monkeypatch.setattr(provenance, "atomic_write", full)
    desk.trust.mark("web_fetch")
    text = await desk.text("write_file", path="a", content="x")
    assert "could not be noted down" in text
    assert (root / "a").read_text() == "x"


async def test_a_list_that_cannot_be_read_says_the_worst(desk: Desk, root: Path) -> None:
    """Without the list every file that has no mark of its own counts as one from outside."""
    await desk.do("write_file", path="a", content="x")
    for broken in ("{", "[]", '{"*": "many"}'):
        (root / ".untrusted.json").write_text(broken)
        assert await untrusted(desk, "read_file", path="a")
    (root / ".untrusted.json").unlink()
    (root / ".untrusted.json").symlink_to("/etc/passwd")
    assert await untrusted(desk, "read_file", path="a")


async def test_by_path_for_other_readers(desk: Desk, root: Path, marks: bool) -> None:
    """Notes and skills are read by others: they ask by name."""
    desk.trust.mark("web_fetch")
    await desk.do("write_file", path="memory/a.md", content="x")
    assert provenance.source_of_path(root / "memory/a.md", root) == "web_fetch"
    assert provenance.source_of_path(root / "memory/b.md", root) == ""
    assert provenance.source_of_path(root / "memory", root) == ""
    if marks:
        shutil.copy2(root / "memory/a.md", root / "copy.md")
        assert provenance.source_of_path(root / "copy.md", root) == "web_fetch"
