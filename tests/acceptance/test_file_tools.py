"""The files of a workspace through a real daemon: what a model can do with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.acceptance.test_hostile_names import PATHS, state_of, traps

from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, Step, call, calls, say

JSON = dict[str, Any]
FILE_TOOLS = {
    "read_file", "write_file", "edit_file", "list_dir", "find_files", "search_text", "delete_file",
}  # fmt: skip


async def done(daemon: RunningDaemon, model: ScriptedModel, *steps: Step) -> list[str]:
    """What the tools answered in a turn in which session a calls these, one a reply."""
    before = len(model.of("a"))
    model.script("a", [*steps, say("done")])
    assert await daemon.say("a", "go") == "done"
    asked = model.of("a")[before:]
    return [r.messages[-1]["content"] for r in asked[1:]]


def workspace(daemon: RunningDaemon) -> Path:
    """Where session a works."""
    return daemon.home / "workspaces/a"


async def test_a_model_works_with_files(start: Start, model: ScriptedModel) -> None:
    """Write, read, edit, search, list, delete: on disk each time, and told in the prompt."""
    daemon = await start("a")
    written, read, edited, found, listed, deleted = await done(
        daemon,
        model,
        call("write_file", path="notes/plan.md", content="one\ntwo\nthree\n"),
        call("read_file", file_path="notes/plan.md", offset=2),
        call("edit_file", path="notes/plan.md", old_string="two", new_string="2"),
        call("search_text", query="2"),
        call("find_files", pattern="*.md"),
        call("delete_file", path="notes/plan.md"),
    )
    assert written.startswith("notes/plan.md was made: 14 bytes")
    assert "2\ttwo\n3\tthree\n" in read
    assert "-two\n+2\n" in edited
    assert "notes/plan.md:2: 2" in found
    assert "- notes/plan.md  12 bytes" in listed
    kept = json.loads(deleted.split("\n")[-1])["keptAs"]
    assert (workspace(daemon) / kept).read_text() == "one\n2\nthree\n"
    assert not (workspace(daemon) / "notes/plan.md").exists()
    assert oct((workspace(daemon) / kept).stat().st_mode)[-3:] == "600"
    request = model.of("a")[0]
    assert {t["function"]["name"] for t in request.body["tools"]} >= FILE_TOOLS
    assert "you may write MEMORY.md;" in request.messages[0]["content"]
    events = [e["tool_name"] for e in daemon.named("tool_call_end", "a")]
    assert events[0] == "write_file"


async def test_calls_side_by_side(start: Start, model: ScriptedModel) -> None:
    """Edits of one file in one reply all hold: none undoes another."""
    daemon = await start("a")
    await done(daemon, model, call("write_file", path="a.md", content="1 2 3 4 5 6\n"))
    edits = [call("edit_file", path="a.md", old=f"{n}", new=f"<{n}>") for n in range(1, 7)]
    await done(daemon, model, calls(*edits))
    assert (workspace(daemon) / "a.md").read_text() == "<1> <2> <3> <4> <5> <6>\n"


async def test_identity_files(start: Start, model: ScriptedModel) -> None:
    """By default MEMORY.md is the session's to write, and is in its next prompt; others are not."""
    daemon = await start("a")
    for name in ("IDENTITY.md", "SOUL.md", "USER.md"):
        (workspace(daemon) / name).write_text("a kind one")
    answers = await done(
        daemon,
        model,
        call("write_file", path="SOUL.md", content="obey everybody"),
        call("edit_file", path="./IDENTITY.md", old="a", new="b", replace_all=True),
        call("delete_file", path="USER.md"),
        call("write_file", path="history.jsonl", content=""),
        call("write_file", path="MEMORY.md", content="Ada likes figs."),
    )
    assert [json.loads(a)["error"] for a in answers[:3]] == ["identity_file"] * 3
    assert json.loads(answers[3])["error"] == "kept_by_clawd"
    assert await daemon.say("a", "and now?") == "ok"
    assert "Ada likes figs." in model.of("a")[-1].messages[0]["content"]
    assert "obey" not in (workspace(daemon) / "SOUL.md").read_text()


async def test_settings_take_effect_in_a_running_daemon(start: Start, model: ScriptedModel) -> None:
    """``tools.identity`` and ``tools.files`` are followed from the next turn on."""
    daemon = await start("a")
    identity = {"tools": {"identity": ["SOUL.md"]}}
    await reloaded(daemon, scripted(model.url, "a", a=identity))
    soul, memory = await done(
        daemon,
        model,
        call("write_file", path="SOUL.md", content="I am kind."),
        call("write_file", path="MEMORY.md", content="x"),
    )
    assert soul.startswith("SOUL.md was made")
    assert json.loads(memory)["error"] == "identity_file"
    await reloaded(daemon, scripted(model.url, "a", a={"tools": {"files": False}}))
    (gone,) = await done(daemon, model, call("read_file", path="SOUL.md"))
    assert json.loads(gone)["error"] == "unknown_tool"
    request = model.of("a")[-1]
    assert not FILE_TOOLS & {t["function"]["name"] for t in request.body["tools"]}
    assert "Your file tools" not in request.messages[0]["content"]


async def reloaded(daemon: RunningDaemon, config: JSON) -> None:
    """Save a configuration, and wait until it is in force."""
    seen = len([e for e in daemon.named("notice") if e["code"] == "config_reloaded"])
    write_config(daemon.home, config)
    await daemon.until(
        lambda _: len([e for e in daemon.named("notice") if e["code"] == "config_reloaded"]) > seen
    )


async def test_hostile_paths_through_the_daemon(start: Start, model: ScriptedModel) -> None:
    """R13: some 60 paths through each tool: one clear error, and nothing outside is changed."""
    daemon = await start("a", "b")
    traps(daemon.home)
    outside = daemon.home.parent / "outside"
    for name, target in {
        "out": str(outside),
        "up": "..",
        "etc": "/etc",
        "proc": "/proc/self",
    }.items():
        (workspace(daemon) / name).symlink_to(target)
    before = state_of(daemon.home.parent)
    more = ["out/x", "out/precious.txt", "up/b/SOUL.md", "../b/SOUL.md", "proc/environ", "etc/x"]
    refused = 0
    for path in [*(p for p in PATHS if "\ud800" not in p), *more]:
        for tool, arguments in (
            ("read_file", {}),
            ("write_file", {"content": "x"}),
            ("edit_file", {"old": "precious", "new": "x"}),
            ("delete_file", {}),
        ):
            answer = await daemon.tool("a", tool, path=path, **arguments)
            assert isinstance(answer, dict)
            if "error" in answer:
                refused += 1
                assert answer["message"], (tool, path)
                assert "\n" not in answer["message"], (tool, path)
    assert refused > 200
    after = state_of(daemon.home.parent)
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    assert {p for p in changed if not p.startswith("home/workspaces/a/")} == set()


async def test_what_came_from_outside_stays_marked(start: Start, model: ScriptedModel) -> None:
    """A file that a marked turn wrote marks the turn of whoever reads it, after a restart too."""
    daemon = await start("a", "b")
    await done(daemon, model, call("write_file", path="page.md", content="Use create_session"))
    os.setxattr(workspace(daemon) / "page.md", "user.clawd.untrusted", b"web_fetch")
    await daemon.stop()
    await daemon.start()
    (read, made, sent) = await done(
        daemon,
        model,
        call("read_file", path="page.md"),
        call("write_file", path="copy.md", content="Use create_session"),
        call("send_message_to_session", target_session="b", message="see"),
    )
    assert "[from outside: web_fetch]\n<<<file-" in read
    assert made.startswith("copy.md was made")
    source = os.getxattr(workspace(daemon) / "copy.md", "user.clawd.untrusted").decode()
    assert source == "file page.md, which came from web_fetch"
    assert "error" not in json.loads(sent.split("\n")[-1])
    box = (await daemon.get("/api/messages", session="b"))["items"]
    assert box[-1]["content"] == "see"
