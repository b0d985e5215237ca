"""R12, M04, T6: canary keys, and a provider that echoes them wherever it can."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from clawd.secrets import forms_of
from clawd.testing.daemon import ApiError, RunningDaemon
from clawd.testing.homes import scripted, write_config
from clawd.testing.model import ScriptedModel, Step, call, error, fail, fail_inside, html, say

LITERAL = "sk-Canary/Literal+4f7Q9zP2xW8mK3vB"
IN_FILE = "sk-Canary-File-8Hn3tR5yL0qJ6dFg"
IN_ENVIRONMENT = "sk-Canary-Env-1Zx7cV9bN2mA4sDf"
ROTATED = "sk-Canary-New-6Uj8iK0oL3pQ5wEr"
CANARIES = (LITERAL, IN_FILE, IN_ENVIRONMENT, ROTATED)


@dataclass
class House:
    """A daemon under watch: all that it was heard to say."""

    daemon: RunningDaemon
    model: ScriptedModel
    heard: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, **options: Any) -> str:
        """One request, whatever comes of it; the answer's text is kept."""
        response = await self.daemon.raw(method, path, **options)
        self.heard.append(f"{response.headers} {response.text}")
        return response.text

    async def turn(self, session: str, text: str) -> None:
        """One turn, whatever comes of it."""
        with suppress(ApiError):
            await self.daemon.say(session, text)
        await self.daemon.idle(session)

    async def command(self, *line: str) -> str:
        """A command of the terminal; what it printed is kept."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clawd", *line, "--home", str(self.daemon.home)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "CANARY_KEY": IN_ENVIRONMENT},
        )
        printed, _ = await process.communicate()
        self.heard.append(printed.decode())
        return printed.decode()

    def said(self) -> Iterator[tuple[str, str]]:
        """Everything that came out of the daemon: where, and what."""
        yield "a process list", " ".join(_command_lines())
        for number, heard in enumerate(self.heard):
            yield f"answer {number}", heard
        for event in self.daemon.events:
            yield f"event {event['seq']}", json.dumps(event)
        for request in self.model.requests:
            yield f"a request for {request.model}", json.dumps(request.body)
        for path in sorted(self.daemon.home.rglob("*")):
            if path.is_file() and path.name not in ("config.json", "second.key"):
                yield str(path), path.read_text(encoding="utf-8", errors="replace")


@pytest.fixture
async def house(model: ScriptedModel, tmp_path: Path) -> AsyncIterator[House]:
    """Three templates, whose keys are literal, in a file and in the environment."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "second.key").write_text(f"{IN_FILE}\n")
    (home / "second.key").chmod(0o600)
    config = scripted(model.url, "literal", "file", "env", log={"level": "debug"})
    template = config["providerTemplates"]["scripted"]
    keys = {"literal": LITERAL, "file": "file:second.key", "env": "${CANARY_KEY}"}
    for name, key in keys.items():
        config["providerTemplates"][name] = {**template, "apiKey": key}
        config["sessions"][name]["provider"]["template"] = name
    del config["providerTemplates"]["scripted"]
    config["sessions"]["file"]["mcpServers"] = {
        "x": {"command": "cat", "env": {"API_TOKEN": ROTATED}}
    }
    write_config(home, config)
    environ = {"CANARY_KEY": IN_ENVIRONMENT}
    async with RunningDaemon(home, environ=environ) as daemon:
        yield House(daemon, model)


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_text(encoding="utf-8", errors="replace")


def _echoes(key: str) -> list[Step]:
    """The ways in which a provider repeats a key."""
    said = f"Incorrect API key provided: {key}. Bearer {key}"
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    return [
        fail(401, error(said, "invalid_api_key")),
        fail(403, error(said)),
        fail(400, error(f"{said} {quote(key, safe='')}")),
        fail(404, error(said)),
        fail(500, {"detail": {"headers": {"authorization": f"Basic {basic}"}}}),
        *(fail(500, f"<html><pre>{said}</pre></html>") for _ in range(3)),
        fail(302, said, {"location": f"http://elsewhere.invalid/?key={key}"}),
        html(f"<html><body>key={key}&amp;b64={basic}</body></html>"),
        fail_inside(said, 401, before="so "),
        say(f"Your key is {key} or {basic}."),
        call("list_agents", query=key),
        say("done"),
        call("send_message_to_session", target_session="nobody", message=key),
        say("done"),
        call("no_such_tool", key=key),
        say("done"),
        call("send_message_to_session", target_session=key, message="hello"),
        say("done"),
        call("list_provider_templates"),
        say(f"Keys: {key}"),
    ]


async def test_r12_a_key_is_never_told(house: House) -> None:
    """Some sixty operations: no key in an answer, an event, a file, a request or a process list.

    Nor in a tool's result (M04) or what the terminal prints; also in base64 and in an address.
    """
    for session, key in (("literal", LITERAL), ("file", IN_FILE), ("env", IN_ENVIRONMENT)):
        house.model.script(session, _echoes(key))
        while house.model._scripts[session]:
            await house.turn(session, f"go on with {key}")
    daemon = house.daemon
    # A key that was rotated in its file: the old one and the new one are both hidden.
    (daemon.home / "second.key").write_text(ROTATED)
    house.model.script("file", [say(f"{IN_FILE} became {ROTATED}")])
    await house.turn("file", "again")
    assert house.model.requests[-1].key == ROTATED

    body = {"session": "literal", "to": "env", "content": f"the key is {LITERAL}"}
    for path in ("/api/messages", "/api/tasks", "/api/sessions/literal/prompt"):
        await house.ask("POST", path, json=body | {"text": IN_ENVIRONMENT, "task": IN_FILE})
    await house.ask("POST", "/api/messages", json={"to": "env", "content": f"it is {LITERAL}"})
    await house.ask("POST", "/api/tasks", json={"toSession": "env", "task": f"use {LITERAL}"})
    await house.ask("POST", "/api/messages", content=f"not json {LITERAL}".encode())
    await daemon.idle()
    await house.ask("GET", f"/nowhere/{LITERAL}")
    await house.ask("GET", f"/api/sessions/{IN_FILE}")
    for path in (
        *("status", "config", "providers", "tools", "sessions", "messages", "tasks"),
        *("sessions/literal", "sessions/literal/transcript", "sessions/literal/config"),
        *("sessions/file/config", "sessions/file/context", "messages?session=env"),
    ):
        await house.ask("GET", f"/api/{path}")
    for template in ("literal", "file", "env"):
        house.model.script("spare", [fail(401, error(f"no: {LITERAL} {IN_FILE}"))])
        await house.ask("POST", f"/api/providers/{template}/test", json={})
        assert ROTATED not in await house.ask(
            "POST",
            "/api/tools/list_provider_templates",
            json={"session": "literal", "arguments": {}},
        )
    lines = (
        *(("status",), ("doctor",), ("config", "show"), ("config", "validate"), ("logs",)),
        *(("logs", "-s", "literal", "-v"), ("sessions", "list"), ("messages", "list")),
        *(("tasks", "list"), ("providers", "list"), ("providers", "show", "literal")),
        *(("sessions", "adopt", "file"), ("sessions", "show", LITERAL), ("tools", "list")),
        *(
            ("fsck",),
            ("trace", LITERAL),
            ("explain", "literal", "env"),
            ("explain", IN_FILE, "env"),
        ),
    )
    await asyncio.gather(*(house.command(*line) for line in lines))

    leaks = [
        (where, form)
        for where, what in house.said()
        for key in CANARIES
        for form in forms_of(key)
        if form in what
    ]
    assert leaks == []
    assert len(house.heard) >= 35
    # It did work: the keys arrived where they belong, and the stars stand where they were told.
    assert {LITERAL, IN_FILE, IN_ENVIRONMENT} <= {r.key for r in house.model.requests}
    history = (daemon.home / "workspaces/literal/history.jsonl").read_text(encoding="utf-8")
    assert "Your key is *** or " in history


async def test_r12_a_start_on_a_broken_file_still_has_its_literal_key(house: House) -> None:
    """The copy that it starts on holds the key in no readable form, and the key works."""
    daemon = house.daemon
    await daemon.stop()
    copies = [p.read_text("utf-8", "replace") for p in (daemon.home / "state").glob("config.*")]
    assert copies
    assert not [form for copy in copies for form in forms_of(LITERAL) if form in copy]
    (daemon.home / "config.json").write_text("{", encoding="utf-8")
    await daemon.start()
    assert await daemon.say("literal", "hello") == "ok"
    assert house.model.requests[-1].key == LITERAL


async def test_t7_no_key_follows_a_redirect(house: House) -> None:
    """The other server hears nothing: 0 requests, so 0 keys."""
    async with ScriptedModel() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            location = {"location": f"{elsewhere.url}/chat/completions"}
            house.model.script("literal", [fail(status, "", location)])
            with pytest.raises(ApiError, match="redirects"):
                await house.daemon.say("literal", "hello")
        assert elsewhere.connections == 0
        assert elsewhere.requests == []
