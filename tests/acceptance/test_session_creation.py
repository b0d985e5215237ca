"""Sessions that are made at run time: whole or not at all, and never more than their creator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clawd.sessions.templates import identity_files
from clawd.testing.daemon import ApiError, RunningDaemon, Start
from clawd.testing.homes import latest, scripted, write_config
from clawd.testing.model import ScriptedModel, call, say

JSON = dict[str, Any]

HOSTILE = [
    "", " ", "a b", "a/b", "/abs", "../up", "..", ".", "a/../b", "..\\up", "C:\\x", "a\\b", "a.b",
    ".hidden", "a.json", "-lead", "_lead", "--help", "a:b", "a;b", "a|b", "a&b", "a$b", "$(id)",
    "`id`", "a'b", 'a"b', "a*b", "a?b", "a<b", "a>b", "a%2fb", "%2e%2e", "~", "~root", "a~b",
    "a\0b", "a\nb", "a\n", "\ta", "a\rb", "\x1b[31m", "a\x7fb", "\u200bzero", "a\u202eb",
    "\u0430dmin", "\uff46ull", "é", "café", "ß", "İ", "ﬁ", "🦀", "a" * 65, "a" * 5000, "user",
    "Operator", "SYSTEM", "self", "all", "Broadcast", "none", "tasks", "State", "boss", "BOSS",
    "a@b", "a+b", "a=b",
]  # fmt: skip
"""Ids that name no new session: traversal, controls, look-alikes, reserved words, case clashes."""


def tree(home: Path) -> set[str]:
    """All that is under a home, but for logs."""
    return {str(path.relative_to(home)) for path in home.rglob("*") if "logs" not in path.parts}


async def create(
    daemon: RunningDaemon, session_id: str, creator: str = "boss", **more: Any
) -> JSON:
    """Create a session by the tool."""
    wanted = {"provider_template": "scripted", "name": "New"} | more
    return await daemon.tool(creator, "create_session", session_id=session_id, **wanted)


async def test_a_creation_that_a_kill_cut_off_leaves_nothing(start: Start) -> None:
    """R01: a workspace made for a session that never came to be is gone after the next start.

    The id can be taken again; a folder in which somebody has put something stays.
    """
    daemon = await start("boss")
    await daemon.kill()
    for name in ("left", "used"):
        folder = daemon.home / "workspaces" / name
        folder.mkdir()
        for file in ("IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md", ".unfinished"):
            (folder / file).write_text("")
    (daemon.home / "workspaces/used/notes.txt").write_text("mine")
    await daemon.start()
    assert not (daemon.home / "workspaces/left").exists()
    assert (daemon.home / "workspaces/used/notes.txt").read_text() == "mine"
    assert (await create(daemon, "left"))["id"] == "left"
    assert not (daemon.home / "workspaces/left/.unfinished").exists()
    assert (await create(daemon, "used"))["error"] == "workspace_exists"


async def test_a_created_session_is_whole_and_lasts(start: Start, model: ScriptedModel) -> None:
    """M15: folder, four files, entry, listed, answering; all of it after a kill as well."""
    daemon = await start("boss")
    gone_before = tree(daemon.home)
    made = await create(
        daemon,
        "poet",
        description="Writes verse",
        identity_content="I am ünique 🦀\n",
        capabilities=["verse"],
        model="boss",
    )
    assert made["id"] == "poet"
    folder = daemon.home / "workspaces/poet"
    assert (folder / "IDENTITY.md").read_text(encoding="utf-8") == "I am ünique 🦀\n"
    built_in = identity_files("poet", "New", "Writes verse")
    for name in ("SOUL.md", "USER.md", "MEMORY.md"):
        assert (folder / name).read_text(encoding="utf-8") == built_in[name]
    assert {oct(p.stat().st_mode & 0o777) for p in folder.iterdir()} <= {"0o600", "0o700"}
    (record,) = latest(daemon.home / "state/sessions.jsonl")
    assert (record["id"], record["created"], record["createdBy"]) == ("poet", True, "boss")
    assert "state/sessions.jsonl" not in gone_before
    for _ in range(2):
        agents = (await daemon.tool("boss", "list_agents", capability="verse"))["agents"]
        assert [a["id"] for a in agents] == ["poet"]
        asked = await daemon.tool(
            "boss",
            "send_message_to_session",
            target_session="poet",
            message="a line, please",
            wait_seconds=20,
        )
        assert asked["answer"] == "ok"
        assert "I am ünique" in model.of("boss")[-1].messages[0]["content"]
        assert (await daemon.get("/api/sessions/poet"))["createdBy"] == "boss"
        await daemon.idle()
        await daemon.kill()
        await daemon.start()


async def test_what_nobody_has_said_of_a_session_is_built_in(start: Start) -> None:
    """M15: without any content the four files are the built-in ones, to the letter."""
    daemon = await start("boss")
    await create(daemon, "scout", name="Scout", description="Looks ahead")
    folder = daemon.home / "workspaces/scout"
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert found == identity_files("scout", "Scout", "Looks ahead")


async def test_a_model_creates_and_uses_a_session(start: Start, model: ScriptedModel) -> None:
    """M15: within one turn a model makes a session and gives it work."""
    model.script(
        "boss",
        [
            call("create_session", session_id="aide", provider_template="scripted", name="Aide"),
            call("delegate_task_async", target_session="aide", task="help"),
            say("given"),
        ],
    )
    daemon = await start("boss")
    assert await daemon.say("boss", "get help") == "given"
    await daemon.idle()
    (task,) = (await daemon.get("/api/tasks"))["items"]
    assert (task["toSession"], task["status"]) == ("aide", "completed")
    (event,) = daemon.named("session_created")
    assert event["trace"] == daemon.named("run_started")[0]["trace"]


async def test_hostile_ids_create_nothing(start: Start, model: ScriptedModel) -> None:
    """M16, R13: none of these ids makes a folder, a file or a session, by tool or by API."""
    daemon = await start("boss")
    outside = tree(daemon.home.parent)
    for session_id in HOSTILE:
        refused = await create(daemon, session_id)
        assert "error" in refused, session_id
        assert refused["message"], session_id
        with pytest.raises(ApiError) as error:
            await daemon.post("/api/sessions", session_id=session_id, provider_template="scripted")
        assert 400 <= error.value.http < 500, session_id
    surrogate = b'{"session_id": "\\ud800", "provider_template": "scripted"}'
    headers = {"Content-Type": "application/json"}
    with pytest.raises(ApiError) as error:
        await daemon.ask("POST", "/api/sessions", content=surrogate, headers=headers)
    assert error.value.http == 400
    assert tree(daemon.home.parent) == outside
    assert [s["id"] for s in (await daemon.get("/api/sessions"))["items"]] == ["boss"]


async def test_what_is_wrong_with_a_creation_is_said(start: Start, model: ScriptedModel) -> None:
    """M16: one clear error with guidance, and nothing is left behind."""
    keyless = {
        "endpoint": "http://127.0.0.1:9/v1",
        "apiKey": "${CLAWD_TEST_NO_SUCH_KEY}",
        "availableModels": ["m"],
        "defaultModel": "m",
    }
    config = scripted(model.url, "boss")
    config["providerTemplates"]["keyless"] = keyless
    daemon = await start("boss", providerTemplates=config["providerTemplates"])
    before = tree(daemon.home)
    for code, arguments in (
        ("unknown_template", {"provider_template": "nope"}),
        ("key_missing", {"provider_template": "keyless"}),
        ("invalid_session", {"model": "gpt-nope"}),
        ("invalid_role", {"role": "boss"}),
        ("too_large", {"soul_content": "x" * 70_000}),
        ("invalid_text", {"soul_content": "a\0b"}),
        ("invalid_arguments", {"colour": "red"}),
    ):
        refused = await create(daemon, "new", **arguments)
        assert refused["error"] == code, refused
        assert refused["hint"], refused
        assert "canary" not in json.dumps(refused)
        # Of templates without what they need, the error names those that would do.
        assert code != "key_missing" or refused["hint"].endswith(": scripted, offline"), refused
    assert tree(daemon.home) == before
    assert (await daemon.tool("boss", "list_agents"))["agents"] == []


async def test_a_folder_that_is_there_is_left_alone(start: Start, model: ScriptedModel) -> None:
    """M16: an existing folder, a file or a link in its place refuses; none of it is touched."""
    daemon = await start("boss")
    spaces = daemon.home / "workspaces"
    (spaces / "old").mkdir()
    (spaces / "old/precious.txt").write_text("x", encoding="utf-8")
    (spaces / "file").write_text("x", encoding="utf-8")
    os.symlink(daemon.home.parent, spaces / "link")
    os.symlink("nowhere", spaces / "dangling")
    before = tree(daemon.home.parent)
    for session_id in ("old", "file", "link", "dangling"):
        assert (await create(daemon, session_id))["error"] == "workspace_exists"
    assert tree(daemon.home.parent) == before


async def test_a_folder_that_cannot_be_made(start: Start, model: ScriptedModel) -> None:
    """M16: when the disk refuses the folder, nothing is registered and the daemon goes on."""
    daemon = await start("boss")
    await daemon.stop()
    config = scripted(model.url, "boss", boss={"workspace": "elsewhere"})
    write_config(daemon.home, config)
    (daemon.home / "workspaces").rename(daemon.home / "moved")
    (daemon.home / "workspaces").write_text("a file", encoding="utf-8")
    await daemon.start()
    refused = await create(daemon, "new")
    assert refused["error"] == "workspace_not_made"
    assert not (daemon.home / "state/sessions.jsonl").exists()
    assert [s["id"] for s in (await daemon.get("/api/sessions"))["items"]] == ["boss"]
    (daemon.home / "workspaces").unlink()
    assert (await create(daemon, "new"))["id"] == "new"


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """A folder in which nobody may make anything; to root only a read-only mount says so."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    for options in (["--bind"], ["-o", "remount,ro,bind"]):
        line = ["mount", *options, str(folder), str(folder)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode:
            subprocess.run(["umount", "-l", folder], capture_output=True, timeout=20, check=False)
            pytest.skip(f"root may write everywhere, and may not mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, timeout=20)


async def test_a_folder_that_may_not_be_written(start: Start) -> None:
    """M16: refused with the folder's name; no folder, no entry, and later it can be made."""
    elsewhere: JSON = {"workspace": "elsewhere"}
    daemon = await start("boss", boss=elsewhere)
    folder = daemon.home / "workspaces"
    folder.mkdir(exist_ok=True)
    with unwritable(folder):
        before = tree(daemon.home)
        refused = await create(daemon, "new")
        assert refused["error"] == "workspace_not_made"
        assert "workspaces" in refused["message"]
        assert refused["hint"]
        assert tree(daemon.home) == before
        assert not (daemon.home / "state/sessions.jsonl").exists()
        assert [s["id"] for s in (await daemon.get("/api/sessions"))["items"]] == ["boss"]
    assert (await create(daemon, "new"))["id"] == "new"


async def test_a_child_has_no_more_rights_than_its_creator(
    start: Start, model: ScriptedModel
) -> None:
    """M17: denials, limits and organization go down the line, over a restart too."""
    strict = {
        "tools": {
            "deny": ["broadcast_message", "delegate_*"],
            "exec": False,
            "web": False,
            "files": False,
            "schedule": False,
            "memory": False,
            "identity": [],
            "approval": {"read_*": "ask"},
            "execSeconds": 5,
        },
        "skills": [],
        "limits": {"maxMessageBytes": 100, "maxModelCallsPerTurn": 2},
        "a2a": {"organization": "inner"},
    }
    daemon = await start("boss", "outer", boss=strict)
    assert (await create(daemon, "child"))["id"] == "child"
    assert (await create(daemon, "grandchild", creator="child"))["id"] == "grandchild"
    for _ in range(2):
        for session_id in ("child", "grandchild"):
            shown = await daemon.get(f"/api/sessions/{session_id}")
            assert "broadcast_message" not in shown["tools"]
            assert "delegate_task_async" not in shown["tools"]
            assert shown["limits"]["maxMessageBytes"] == 100
            assert shown["organization"] == "inner"
            entry = (await daemon.get(f"/api/sessions/{session_id}/config"))["entry"]
            assert {"exec": False} | entry["tools"] == strict["tools"]
            assert entry["skills"] == []
            for denied in ("exec", "web_fetch", "write_file", "schedule_create", "memory_save"):
                with pytest.raises(ApiError) as absent:
                    await daemon.tool(session_id, denied)
                assert absent.value.code == "unknown_tool"
            refused = await daemon.tool(
                session_id, "send_message_to_session", target_session="boss", message="x" * 101
            )
            assert refused["error"] == "too_large"
            refused = await daemon.tool(
                session_id, "send_message_to_session", target_session="outer", message="x"
            )
            assert refused["error"] == "unknown_session"
        await daemon.kill()
        await daemon.start()


@pytest.mark.parametrize(
    ("limit", "value", "code"),
    [
        ("maxSessionsAlive", 2, "guard_sessions_alive"),
        ("maxSessionsPerHour", 2, "guard_sessions_per_hour"),
    ],
)
async def test_how_many_are_made(
    start: Start, model: ScriptedModel, limit: str, value: int, code: str
) -> None:
    """The bound refuses the next one with its name and value; the operator is told, and exempt."""
    daemon = await start("boss", limits={limit: value})
    for number in range(value):
        assert "error" not in await create(daemon, f"s{number}")
    refused = await create(daemon, "more")
    assert (refused["error"], refused["limit"], refused["retryable"]) == (code, value, False)
    assert not (daemon.home / "workspaces/more").exists()
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == code)
    made = await daemon.post("/api/sessions", session_id="mine", provider_template="scripted")
    assert made["id"] == "mine"
    await daemon.kill()
    await daemon.start()
    assert (await create(daemon, "more"))["error"] == code


async def test_how_deep_they_are_nested(start: Start, model: ScriptedModel) -> None:
    """R07: sessions that create sessions end at maxSessionDepth, also after a restart."""
    daemon = await start("boss", limits={"maxSessionDepth": 2})
    assert "error" not in await create(daemon, "one")
    assert "error" not in await create(daemon, "two", creator="one")
    await daemon.kill()
    await daemon.start()
    assert (await create(daemon, "three", creator="two"))["error"] == "guard_session_depth"
    assert "error" not in await create(daemon, "other")


async def test_a_mistyped_template_names_the_nearest(start: Start, model: ScriptedModel) -> None:
    """M15: the refusal of an unknown template says which one was probably meant."""
    daemon = await start("boss")
    refused = await create(daemon, "poet", provider_template="scriptd")
    assert refused["error"] == "unknown_template"
    assert "did you mean 'scripted'?" in refused["hint"]
    far = await create(daemon, "poet", provider_template="zzz")
    assert "did you mean" not in far["hint"]
