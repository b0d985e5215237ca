"""R13: names and paths that lead elsewhere, through every entrance: nothing outside is touched."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.acceptance.test_session_creation import HOSTILE

from clawd.config.loader import check
from clawd.testing.daemon import RunningDaemon, Start
from clawd.testing.homes import write_config
from clawd.testing.model import ScriptedModel

JSON = dict[str, Any]

PATHS = [
    "..", "../x", "../../x", "workspaces/..", "workspaces/../..", "workspaces/../state",
    "a/../../b", "/etc", "/etc/passwd", "/", "//", "/tmp/x", "~", "~/x", "~root", "~root/x", ".",
    "./", "",
    "./..", "state", "state/x", "state/logs", "./state", "config.json", "config.json/x", "a\\b",
    "..\\x", "C:\\x", "\\\\host\\x", "a\0b", "\0", "a\nb", "a\rb", "\x1b[31m", "a\x7fb", "a\u202eb",
    "\u200b", "a\u2028b", "workspaces/\u202e", "\ud800", "x" * 300, "a/" * 3000, "workspaces/link",
    "workspaces/link/x", "link", "link/x", "workspaces/loop", "workspaces/loop/x",
    "workspaces/file", "workspaces/file/x", "/proc/self/cwd", "/dev/null", "/dev/shm/x",
    "workspaces/a",
    "workspaces/a/inside", "workspaces", "WORKSPACES/../..", "a/./../..", "workspaces/link/..",
]  # fmt: skip
"""Workspaces that are not inside the home, not the session's alone, or no folder at all."""


def state_of(root: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder with its kind and size, but for what a daemon always writes."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if not {"logs", "state"} & set(path.parts) and path.name != "daemon.err":
                found[str(path.relative_to(root))] = (path.lstat().st_mode, path.lstat().st_size)
    return found


def traps(home: Path) -> None:
    """Links that lead out, a circle and a file, where a workspace could be; and what they reach."""
    outside = home.parent / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    spaces = home / "workspaces"
    spaces.mkdir(exist_ok=True)
    (spaces / "link").symlink_to(outside)
    (home / "link").symlink_to(outside)
    (spaces / "loop").symlink_to("loop")
    (spaces / "file").write_text("a file")


async def codes(daemon: RunningDaemon, requests: list[tuple[str, str, JSON | None]]) -> list[int]:
    """The statuses of requests, some at a time."""
    gate = asyncio.Semaphore(8)

    async def one(method: str, path: str, body: JSON | None) -> int:
        async with gate:
            response = await daemon.raw(method, path, **({} if body is None else {"json": body}))
        assert response.status_code < 500, (method, path, body, response.text)
        assert b"\x1b" not in response.content
        if response.status_code >= 400:
            error = response.json()["error"]
            assert error["code"], path
            assert error["message"], path
        return response.status_code

    return await asyncio.gather(*(one(*request) for request in requests))


async def test_ids_over_http(start: Start, model: ScriptedModel) -> None:
    """R13: in paths, queries and bodies, a hostile id is no session: one clear error each."""
    daemon = await start("a", "boss")
    traps(daemon.home)
    before = state_of(daemon.home.parent)
    for name in HOSTILE:
        # A full stop or a slash would be another path; nobody is called by an empty one.
        at = quote(name, safe="").replace(".", "%2E")
        known = name == "boss"
        if known:
            continue
        requests: list[tuple[str, str, JSON | None]] = [
            ("GET", f"/api/messages?session={at}", None),
            ("GET", f"/api/tasks?session={at}", None),
            ("GET", f"/api/tools?session={at}", None),
            ("GET", f"/api/explain?from=a&to={at}", None),
            ("POST", "/api/messages", {"to": name, "content": "x"}),
            ("POST", "/api/messages", {"to": "a", "content": "x", "from": name}),
            ("POST", "/api/tasks", {"toSession": name, "task": "x"}),
            ("POST", "/api/tools/list_agents", {"session": name, "arguments": {}}),
            ("POST", "/api/messages/compact", {"session": name}),
        ]
        if name not in ("", ".", ".."):
            requests += [
                ("GET", f"/api/sessions/{at}", None),
                ("GET", f"/api/sessions/{at}/transcript", None),
                ("PATCH", f"/api/sessions/{at}", {"hiddenFromAgents": True}),
                ("DELETE", f"/api/sessions/{at}", None),
                ("POST", f"/api/sessions/{at}/prompt", {"text": "x"}),
                ("POST", f"/api/sessions/{at}/reset", {}),
            ]
        found = await codes(daemon, requests)
        # Without a name some lists are of all, and a message of nobody's is the operator's to read.
        allowed = {0, 1, 2} if name == "" else set()
        wrong = [r for n, r in enumerate(requests) if n not in allowed and found[n] < 400]
        assert wrong == [], name
    assert state_of(daemon.home.parent) == before
    assert model.requests == []


async def test_ids_through_the_tools(start: Start, model: ScriptedModel) -> None:
    """R13: the same for what a model may name: sessions, threads, messages, tasks, files."""
    daemon = await start("a", "boss")
    traps(daemon.home)
    before = state_of(daemon.home.parent)
    given = await daemon.tool("boss", "delegate_task_async", target_session="a", task="x")
    await daemon.task(given["taskId"])
    await daemon.idle()
    files = [p for p in PATHS if "\ud800" not in p] + ["/proc/self/environ", "../a/SOUL.md"]
    open_task = await daemon.post("/api/tasks", toSession="boss", task="x", dependsOn=[])
    for name in HOSTILE:
        for tool, arguments in (
            ("send_message_to_session", {"target_session": name, "message": "x"}),
            ("delegate_task_async", {"target_session": name, "task": "x"}),
            ("get_session_outputs", {"session_id": name}),
            ("acknowledge_message", {"message_id": name}),
            ("complete_async_task", {"task_id": name, "result": "x"}),
            ("cancel_async_task", {"task_id": name}),
        ):
            if name.lower() != "boss":
                assert "error" in await daemon.tool("a", tool, **arguments), (tool, name)
    assert (await daemon.task(open_task["id"]))["status"] == "completed"
    for path in files:
        task = await daemon.tool("a", "delegate_task_async", target_session="boss", task="x")
        refused = await daemon.tool(
            "boss", "complete_async_task", task_id=task["taskId"], result="x", evidence=[path]
        )
        assert refused.get("error") in ("evidence_missing", "already_final"), path
        if refused["error"] == "already_final":
            break
    await daemon.idle()
    after = state_of(daemon.home.parent)
    own = ("home/workspaces/a/", "home/workspaces/boss/")
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    assert {p for p in changed if not p.startswith(own)} == set()


async def test_ids_and_workspaces_in_the_configuration(start: Start, model: ScriptedModel) -> None:
    """R13: none of them loads, each has its error, and the last good configuration goes on."""
    daemon = await start("a", "boss")
    traps(daemon.home)
    before = state_of(daemon.home.parent)
    good = json.loads((daemon.home / "config.json").read_text())
    for name in HOSTILE:
        if name != "boss":
            found = check(
                json.dumps({"sessions": {"boss": {}, name: {}}}), environ={}, home=daemon.home
            )
            assert len(found.errors) == 1, name
    for path in PATHS:
        written = json.dumps({"sessions": {"a": {}, "x": {"workspace": path}}})
        found = check(written, environ={}, home=daemon.home)
        assert found.errors, path
        assert all(e.path.startswith("sessions.x.workspace") for e in found.errors), path
    many: JSON = {name: {} for name in HOSTILE if name not in ("boss", "BOSS")}
    many |= {f"w{number}": {"workspace": path} for number, path in enumerate(PATHS)}
    write_config(daemon.home, good | {"sessions": good["sessions"] | many})
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == "config_rejected")
    assert {s["id"] for s in (await daemon.get("/api/sessions"))["items"]} == {"a", "boss"}
    write_config(daemon.home, good)
    await daemon.until(lambda e: e["event"] == "notice" and e["code"] == "config_reloaded")
    after = state_of(daemon.home.parent)
    assert {p for p in after if before.get(p) != after[p]} <= {"home/config.json"}


async def test_workspaces_behind_a_link(start: Start, model: ScriptedModel) -> None:
    """R13: when the folder of all workspaces leads out of the home, no session is made there."""
    daemon = await start("boss", boss={"workspace": "elsewhere"})
    outside = daemon.home.parent / "outside"
    outside.mkdir()
    (daemon.home / "workspaces").symlink_to(outside)
    refused = await daemon.tool(
        "boss", "create_session", session_id="kid", provider_template="scripted", name="Kid"
    )
    assert "error" in refused
    assert list(outside.iterdir()) == []
    assert [s["id"] for s in (await daemon.get("/api/sessions"))["items"]] == ["boss"]


async def test_a_workspace_that_became_a_link(start: Start, model: ScriptedModel) -> None:
    """R13: a made session whose folder was exchanged for a link out writes nothing there."""
    daemon = await start("boss")
    made = await daemon.tool(
        "boss", "create_session", session_id="kid", provider_template="scripted", name="Kid"
    )
    assert made["id"] == "kid"
    await daemon.stop()
    outside = daemon.home.parent / "outside"
    (daemon.home / "workspaces/kid").rename(outside)
    (daemon.home / "workspaces/kid").symlink_to(outside)
    before = state_of(outside)
    await daemon.start()
    told = await daemon.raw("POST", "/api/messages", json={"to": "kid", "content": "x"})
    assert told.status_code >= 400
    assert (await daemon.get("/api/sessions/kid"))["status"] == "failed"
    assert await daemon.say("boss", "you there?") == "ok"
    assert state_of(outside) == before


@pytest.mark.parametrize("name", ["session_messages.jsonl", "history.jsonl"])
async def test_a_log_that_is_a_link(start: Start, model: ScriptedModel, name: str) -> None:
    """R13: a log that leads out is never followed: its session alone stands still."""
    daemon = await start("a", "b")
    await daemon.stop()
    target = daemon.home.parent / "target.jsonl"
    target.write_text("")
    log = daemon.home / "workspaces/b" / name
    log.unlink(missing_ok=True)
    log.symlink_to(target)
    await daemon.start()
    await daemon.raw("POST", "/api/messages", json={"to": "b", "content": "x"})
    await daemon.raw("POST", "/api/sessions/b/prompt", json={"text": "x"})
    assert await daemon.say("a", "you there?") == "ok"
    assert target.read_text() == ""
