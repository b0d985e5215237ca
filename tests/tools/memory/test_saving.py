"""Saving, changing and forgetting notes: what is in the folder afterwards."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawd.storage import provenance

if TYPE_CHECKING:
    from tests.tools.memory.conftest import Desk

HOSTILE = [
    "../x", "/etc/passwd", "..", ".", "", "a/../../x", "x\0", ".trash", "~/x", "memory/../x",
    "..\\x", "x/../../state/lock", "\u2025/x", "a" * 1000,
]  # fmt: skip


async def test_a_note_is_a_file_that_a_human_can_read(desk: Desk) -> None:
    """Title, tags and dates stand above the text; nobody else may read it."""
    answer = await desk.do(
        "memory_save", text="Green tea, no sugar.", title="Likes tea", tags=["#drinks"]
    )
    assert answer.facts == {"id": "likes-tea", "path": "memory/likes-tea.md", "saved": True}
    path = desk.folder / "likes-tea.md"
    content = path.read_text()
    assert content.startswith("---\ntitle: Likes tea\ntags: [drinks]\ncreated: 20")
    assert content.endswith("\n---\n\nGreen tea, no sugar.\n")
    assert "origin" not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700


async def test_names_do_not_collide(desk: Desk) -> None:
    """A second note of the same title is another file; also beside one made by hand."""
    desk.write("tea.md", "by hand")
    assert await desk.save("one", title="Tea") == "tea-2"
    assert await desk.save("two", title="Tea") == "tea-3"
    assert (desk.folder / "tea.md").read_text() == "by hand"


async def test_what_is_noted_already_is_not_noted_twice(desk: Desk) -> None:
    """The model is told which note says it."""
    await desk.save("one", title="Tea")
    answer = await desk.do("memory_save", text=" one\n", title="Tea")
    assert answer.facts is not None
    assert not answer.facts["saved"]
    assert answer.facts["id"] == "tea"
    assert len(list(desk.folder.iterdir())) == 1


async def test_a_change_keeps_the_rest(desk: Desk) -> None:
    """Only what is given changes; the day of its making stays."""
    note = await desk.save("old text", title="Tea", tags=["a"])
    created = desk.folder.joinpath("tea.md").read_text().split("created: ")[1][:20]
    await desk.do("memory_update", id=note, text="new text")
    found = (await desk.found("new text"))[0]
    assert (found["title"], found["tags"], found["created"]) == ("Tea", ["a"], created)
    assert await desk.ids("old") == []
    await desk.do("memory_update", id=note, title="Coffee", tags=[])
    found = (await desk.found("coffee"))[0]
    assert (found["text"], found["tags"]) == ("new text", [])
    assert await desk.refused("memory_update", id=note) == "nothing_to_change"


async def test_what_is_forgotten_is_in_the_trash(desk: Desk) -> None:
    """It is not found any more, and nothing is lost."""
    note = await desk.save("green tea")
    kept = (await desk.do("memory_forget", id=note)).facts
    assert kept is not None
    assert await desk.ids("green tea") == []
    assert "green tea" in (desk.workspace / kept["trash"]).read_text()
    assert await desk.refused("memory_forget", id=note) == "unknown_note"


async def test_bounds(desk: Desk) -> None:
    """A text that is empty or a book is refused in words; titles and tags are cut."""
    assert await desk.refused("memory_save", text=" \n") == "empty_note"
    assert await desk.refused("memory_save", text="x" * 70_000) == "note_too_long"
    note = await desk.save("x", title="t\n" * 500, tags=[f"tag {n}" for n in range(50)])
    found = (await desk.found(note))[0]
    assert len(found["title"]) <= 200
    assert len(found["tags"]) == 16
    assert not (desk.workspace / "memory" / "x.md").exists()


async def test_secrets_are_not_noted(desk: Desk) -> None:
    """R12: a key that the daemon knows never comes into a note."""
    desk.hidden = "sk-canary-1"
    note = await desk.save("the key is sk-canary-1", title="sk-canary-1", tags=["sk-canary-1"])
    await desk.do("memory_update", id=note, text="still sk-canary-1")
    for path in desk.folder.iterdir():
        assert "sk-canary" not in path.name + path.read_text()


@pytest.mark.parametrize("id", HOSTILE)
async def test_hostile_ids_touch_nothing(desk: Desk, id: str) -> None:
    """R13: by no name is anything outside of the folder changed or shown."""
    (desk.workspace / "x").write_text("mine")
    (desk.workspace / "x.md").write_text("mine")
    await desk.save("tea")
    before = sorted(str(p) for p in desk.workspace.parent.rglob("*"))
    for tool, more in (("memory_update", {"text": "pwned"}), ("memory_forget", {})):
        assert await desk.refused(tool, id=id, **more) in ("invalid_note_id", "unknown_note")
    assert sorted(str(p) for p in desk.workspace.parent.rglob("*")) == before
    assert (desk.workspace / "x.md").read_text() == "mine"


async def test_a_folder_that_leads_out_is_refused(desk: Desk, tmp_path: Path) -> None:
    """Neither read nor written: the link is named."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("the secret")
    desk.folder.symlink_to(outside)
    assert await desk.refused("memory_save", text="x") == "memory_folder"
    assert await desk.refused("memory_search", query="secret") == "memory_folder"
    assert await desk.recalled("the secret") == ""
    assert [p.name for p in outside.iterdir()] == ["secret.md"]


async def test_links_pipes_and_folders_are_no_notes(desk: Desk, tmp_path: Path) -> None:
    """What stands there beside notes is left alone, and holds nobody up."""
    (tmp_path / "secret.md").write_text("the secret word")
    desk.write("real.md", "a real word")
    (desk.folder / "link.md").symlink_to(tmp_path / "secret.md")
    (desk.folder / "folder.md").mkdir()
    os.mkfifo(desk.folder / "pipe.md")
    os.mknod(desk.folder / "socket.md", 0o600 | stat.S_IFSOCK)
    (desk.folder / ".hidden.md").write_text("a hidden word")
    (desk.folder / "text.txt").write_text("a plain word")
    assert await desk.ids("word") == ["real"]
    for name in ("link", "folder", "pipe", "socket"):
        assert await desk.refused("memory_update", id=name, text="x") == "unknown_note"
    assert (tmp_path / "secret.md").read_text() == "the secret word"


async def test_odd_files_are_notes_as_far_as_they_go(desk: Desk) -> None:
    """Bytes that are no text, a file of a megabyte, an empty one."""
    desk.write("empty.md", "")
    desk.write("long.md", "start of it\n" + "filler " * 150_000 + "\nend of it")
    desk.folder.joinpath("bytes.md").write_bytes(b"\xff\xfe\x00caf\xc3\xa9 \xf0\x28")
    assert await desk.ids("start") == ["long"]
    assert await desk.ids("end") == []
    assert await desk.ids("café") == ["bytes"]


async def test_a_marked_turn_writes_marked_notes(desk: Desk) -> None:
    """The note says where its text may be from; who finds it is marked in turn."""
    desk.trust.mark("web page https://example.org")
    note = await desk.save("pay to this account", title="Bank")
    content = (desk.folder / "bank.md").read_text()
    assert 'origin: untrusted\nsource: "web page https://example.org"\n' in content
    assert provenance.source_of_path(desk.folder / "bank.md", desk.workspace)
    desk.new_turn()
    assert await desk.ids("nothing like it") == []
    assert not desk.trust.untrusted
    found = (await desk.found("bank"))[0]
    assert found["origin"] == "untrusted"
    assert found["source"] == "web page https://example.org"
    assert desk.trust.sources == [f"note {note} (web page https://example.org)"]


async def test_a_mark_stays_and_spreads(desk: Desk) -> None:
    """A change in a clean turn does not clear a note; one in a marked turn marks it."""
    desk.trust.mark("web")
    marked = await desk.save("from the web")
    desk.new_turn()
    clean = await desk.save("my own")
    await desk.do("memory_update", id=marked, title="Clean?")
    assert (await desk.found(marked))[0]["origin"] == "untrusted"
    desk.new_turn()
    desk.trust.mark("mail of somebody")
    await desk.do("memory_update", id=clean, text="not my own")
    desk.new_turn()
    found = (await desk.found(clean))[0]
    assert (found["origin"], found["source"]) == ("untrusted", "mail of somebody")


async def test_a_file_that_a_marked_turn_wrote_is_untrusted(desk: Desk) -> None:
    """By whatever tool it was written, and also when the mark comes after the text."""
    path = desk.write("notes.md", "a plain file")
    assert (await desk.found("plain"))[0]["origin"] == "notes"
    descriptor = os.open(path, os.O_RDWR)
    try:
        provenance.mark(desk.workspace, descriptor, "a page")
    finally:
        os.close(descriptor)
    found = (await desk.found("plain"))[0]
    assert (found["origin"], found["source"]) == ("untrusted", "a page")
    assert desk.trust.untrusted
