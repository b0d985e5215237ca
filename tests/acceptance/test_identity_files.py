"""Who a session is: the operator's four files, whatever is found in their place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clawd.testing.daemon import JSON, RunningDaemon, Start
from clawd.testing.model import ScriptedModel

SECONDS = 2.0
FILES = ("IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md")


def system_prompt(model: ScriptedModel) -> str:
    """The system prompt of the last request."""
    message: JSON = model.requests[-1].body["messages"][0]
    assert message["role"] == "system"
    return str(message["content"])


def folder(home: Path) -> Path:
    """The workspace of a session that is not there yet."""
    made = home / "home/workspaces/a"
    made.mkdir(parents=True, mode=0o700)
    return made


async def edited(daemon: RunningDaemon, name: str, text: str) -> JSON:
    """Save a file as an editor does; the line that the operator sees."""
    seen = len(daemon.named("notice"))
    new = daemon.home / "workspaces/a" / f".{name}.new"
    new.write_text(text, encoding="utf-8")
    new.replace(daemon.home / "workspaces/a" / name)
    return await daemon.until(
        lambda e: e.get("code") == "identity_changed" and e in daemon.named("notice")[seen:],
        seconds=SECONDS,
    )


async def test_edits_are_in_the_next_prompt_in_their_order(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """M31: identity, soul, user, memory; the running turn keeps its prompt, the next is new."""
    workspace = folder(tmp_path)
    for name in reversed(FILES):
        (workspace / name).write_text(f"text of {name}", encoding="utf-8")
    daemon = await start("a")
    await daemon.say("a", "one")
    prompt = system_prompt(model)
    places = [prompt.index(f"# {name.removesuffix('.md')}\n\ntext of {name}") for name in FILES]
    assert places == sorted(places)
    assert places[-1] < prompt.index("# SITUATION")

    gate = model.hold("a")
    turn = await daemon.prompt("a", "two")
    await gate.reached()
    notice = await edited(daemon, "MEMORY.md", "Remember the milk.")
    assert notice["session"] == "a"
    assert "MEMORY.md" in notice["text"]
    await edited(daemon, "IDENTITY.md", "You are new.")
    gate.open()
    await daemon.ended(turn)
    assert system_prompt(model) == prompt
    await daemon.say("a", "three")
    changed = system_prompt(model)
    assert changed.startswith("# IDENTITY\n\nYou are new.")
    assert "# MEMORY\n\nRemember the milk." in changed
    assert "text of SOUL.md" in changed


async def test_the_stable_part_is_the_same_from_turn_to_turn(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """A provider's prompt cache hits: the prompt begins with the same bytes, turn for turn."""
    (folder(tmp_path) / "SOUL.md").write_text("Be kind.\n", encoding="utf-8")
    daemon = await start("a", "b")
    await daemon.say("a", "one")
    first = system_prompt(model)
    await daemon.post("/api/messages", to="a", content="hello")
    await daemon.idle()
    await daemon.say("a", "two")
    stable = first[: first.index("# SITUATION")]
    assert stable
    assert system_prompt(model).startswith(stable)


async def test_missing_and_empty_files_are_skipped(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """Any file may be missing; an empty one has no heading either, and nobody complains."""
    workspace = folder(tmp_path)
    (workspace / "SOUL.md").write_text("  \n", encoding="utf-8")
    (workspace / "USER.md").write_text("\ufeffA person.", encoding="utf-8")
    daemon = await start("a")
    await daemon.say("a", "hello")
    prompt = system_prompt(model)
    assert prompt.startswith("# USER\n\nA person.\n\n# SITUATION")
    assert not [e for e in daemon.named("notice") if e["code"] == "identity"]


def as_folder(file: Path) -> None:
    """A folder of that name."""
    file.mkdir()


def as_pipe(file: Path) -> None:
    """A pipe that nobody writes to."""
    os.mkfifo(file)


def as_link_out(file: Path) -> None:
    """A link that leads out of the workspace."""
    outside = file.parent.parent.parent.parent / "secret.txt"
    outside.write_text("canary-secret", encoding="utf-8")
    file.symlink_to(outside)


def as_huge(file: Path) -> None:
    """A sparse file of two gibibytes."""
    with file.open("wb") as stream:
        stream.write(b"The beginning. ")
        stream.truncate(2 * 1024**3)


def as_bytes(file: Path) -> None:
    """Text that is not UTF-8."""
    file.write_bytes(b"caf\xe9")


def as_nul(file: Path) -> None:
    """Text with a NUL in it, as a crash of an editor leaves it."""
    file.write_bytes("Ä note.\0hidden canary-secret\0".encode())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (as_folder, "is a folder"),
        (as_pipe, "is a pipe"),
        (as_link_out, "cannot be read"),
        (as_huge, "is cut to 65536"),
        (as_bytes, "is not UTF-8 at byte 3"),
        (as_nul, "has a NUL character at byte 8 and is cut there"),
    ],
)
async def test_what_cannot_be_read_is_one_notice_and_a_line_in_the_prompt(
    start: Start, model: ScriptedModel, tmp_path: Path, make: Any, words: str
) -> None:
    """The daemon is up, the session answers, the operator and the prompt are told why."""
    workspace = folder(tmp_path)
    (workspace / "SOUL.md").write_text("Be kind.", encoding="utf-8")
    make(workspace / "MEMORY.md")
    daemon = await start("a")
    assert await daemon.say("a", "hello") == "ok"
    assert await daemon.say("a", "again") == "ok"
    prompt = system_prompt(model)
    assert "# SOUL\n\nBe kind." in prompt
    assert "canary-secret" not in prompt
    assert "\0" not in prompt
    memory = prompt[prompt.index("# MEMORY") : prompt.index("# SITUATION")]
    assert "[clawd: " in memory
    assert words in memory
    notices = [e for e in daemon.named("notice") if e["code"] == "identity"]
    assert [n["level"] for n in notices] == ["warning"]
    assert "MEMORY.md" in notices[0]["text"]
    assert words in notices[0]["text"]
    shown = (await daemon.get("/api/sessions/a"))["identity"]
    assert [words in f.get("problem", "") for f in shown] == [False, False, False, True]

    # Once it is mended the prompt is as it should be.
    (workspace / "MEMORY.md").rmdir() if make is as_folder else (workspace / "MEMORY.md").unlink()
    await edited(daemon, "MEMORY.md", "All is well.")
    await daemon.say("a", "better?")
    assert "# MEMORY\n\nAll is well.\n\n# SITUATION" in system_prompt(model)


async def test_a_cut_is_at_the_configured_size_and_marked(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """Cut at a character's border; the mark names the file, both sizes and the key to raise."""
    workspace = folder(tmp_path)
    (workspace / "SOUL.md").write_text("ä" * 60, encoding="utf-8")
    (workspace / "USER.md").write_text("u" * 90, encoding="utf-8")
    (workspace / "MEMORY.md").write_text("m" * 90, encoding="utf-8")
    daemon = await start("a", identity={"fileBytes": 101, "totalBytes": 200})
    await daemon.say("a", "hello")
    prompt = system_prompt(model)
    assert "ä" * 50 + "\n" in prompt
    assert "ä" * 51 not in prompt
    mark = (
        "[clawd: SOUL.md has 120 bytes and is cut to 101; shorten it or raise identity.fileBytes]"
    )
    assert mark in prompt
    assert "u" * 90 in prompt
    assert (
        "MEMORY.md has 90 bytes and is cut to 10; shorten it or raise identity.totalBytes" in prompt
    )
    codes = [e["code"] for e in daemon.named("notice")]
    assert codes.count("identity") == 2


async def test_a_new_limit_counts_from_the_next_turn(
    start: Start, model: ScriptedModel, tmp_path: Path
) -> None:
    """Raising ``identity.fileBytes`` in the configuration uncuts the file."""
    (folder(tmp_path) / "SOUL.md").write_text("s" * 60, encoding="utf-8")
    daemon = await start("a", identity={"fileBytes": 50})
    await daemon.say("a", "hello")
    assert "is cut to 50" in system_prompt(model)
    config = (daemon.home / "config.json").read_text(encoding="utf-8")
    (daemon.home / "config.json").write_text(config.replace("50\n", "80\n"), encoding="utf-8")
    await daemon.until(lambda e: e.get("code") == "config_reloaded", seconds=SECONDS)
    await daemon.say("a", "again")
    assert "s" * 60 in system_prompt(model)
    assert "is cut" not in system_prompt(model)
