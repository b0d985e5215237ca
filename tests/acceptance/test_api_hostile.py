"""Whatever is sent to the edge is answered by the right status, never 500, and changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from clawd.testing.daemon import JSON, RunningDaemon, Start
from clawd.testing.model import ScriptedModel

POSTS = (
    "/api/sessions",
    "/api/sessions/a/prompt",
    "/api/sessions/a/cancel",
    "/api/messages",
    "/api/messages/read",
    "/api/messages/requeue",
    "/api/messages/prune",
    "/api/messages/compact",
    "/api/tasks",
    "/api/tools/list_agents",
    "/api/stop",
)
DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = (
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"12",
    b"{} {}",
    b"{'a': 1}",
    b'{"unknown_key": 1}',
    b"\xff\xfe\x00",
    b'{"text": "\xff"}',
    b'{"text": "\\ud800", "content": "\\udfff", "to": "a", "task": "\\ud800"}',
    b'{"text": {"a": []}}',
    b'{"text": NaN}',
    DEEP,
    b'{"arguments": ' + DEEP + b"}",
    b'{"context": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
)
QUERIES = (
    "/api/messages?limit=-1",
    "/api/messages?limit=x",
    "/api/messages?limit=1.5",
    "/api/messages?limit=99999999999999999999",
    "/api/messages?unread=maybe",
    "/api/messages?state=lost",
    "/api/tasks?status=lost",
    "/api/tasks?limit=nan",
    "/api/tasks?created=2",
    "/api/events?after=x",
    "/api/events?after=-1",
    "/api/events?after=1e3",
    "/api/sessions/a/transcript?last=-1",
    "/api/sessions/a/transcript?last=%F0%9F%92%A5",
)
HOSTILE_IDS = (
    "%2e%2e", "..%2f..%2fetc", "%00", "a%00", "%ed%a0%80", "%ff%fe", "a" * 5000,
    "%F0%9F%92%A5", "%0d%0aX-Evil:1", "-", "user", "operator", "A%20b", "\\", "a;b", "{}",
)  # fmt: skip


async def status_of(daemon: RunningDaemon, method: str, path: str, **options: Any) -> int:
    """The status of one request; an error has its envelope, and 500 is never one."""
    response = await daemon.raw(method, path, **options)
    assert response.status_code != 500, (method, path, options, response.text)
    if response.status_code >= 400:
        body: JSON = response.json()
        assert body["schema"] == "clawd.error/1"
        assert {"code", "message", "hint"} <= set(body["error"])
        assert len(body["error"]["message"]) < 5000
        assert "Traceback" not in response.text
    return int(response.status_code)


def sent(body: bytes, kind: str = "application/json") -> dict[str, Any]:
    """A body as it stands."""
    return {"content": body, "headers": {"Content-Type": kind}}


async def test_a_malformed_body_is_400_everywhere(start: Start) -> None:
    """No parser's exception, no depth and no lone surrogate gets through."""
    daemon = await start("a")
    for body in BODIES:
        for path in POSTS:
            assert await status_of(daemon, "POST", path, **sent(body)) == 400, (path, body[:40])
        assert await status_of(daemon, "PATCH", "/api/sessions/a", **sent(body)) == 400
    assert (await daemon.get("/api/status"))["pid"] == daemon.pid
    assert not daemon.named("run_started")


async def test_only_json_is_taken(start: Start) -> None:
    """Any other content type is 415, and the body is not looked at."""
    daemon = await start("a")
    body = json.dumps({"text": "hello"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"):
        for path in POSTS:
            assert await status_of(daemon, "POST", path, **sent(body, kind)) == 415, (kind, path)
    assert (
        await status_of(
            daemon,
            "POST",
            "/api/sessions/a/prompt",
            **sent(body, "application/json; charset=utf-8"),
        )
        == 202
    )


async def test_a_body_has_a_limit(start: Start) -> None:
    """Five megabytes are 413, the connection's other requests go on, and nothing was kept."""
    daemon = await start("a")
    body = json.dumps({"text": "x" * (5 * 1024 * 1024)}).encode()
    for path in ("/api/sessions/a/prompt", "/api/messages", "/api/tasks", "/api/sessions"):
        assert await status_of(daemon, "POST", path, **sent(body)) == 413, path
    big = json.dumps({"text": "x" * (2 * 1024 * 1024)}).encode()
    assert await status_of(daemon, "POST", "/api/sessions/a/prompt", **sent(big)) == 400
    assert await daemon.say("a", "hello") == "ok"
    assert len(daemon.named("run_started")) == 1


def files(home: Path) -> list[Path]:
    """Everything in a home but its logs, which a thread writes when it comes to it."""
    return sorted(path for path in home.rglob("*") if "logs" not in path.parts)


async def test_unknown_ids_are_404_for_every_noun(start: Start) -> None:
    """Hostile ones too; nothing is looked up in the file system, nothing is made."""
    daemon = await start("a")
    before = files(daemon.home)
    for hostile in HOSTILE_IDS:
        for path in (f"sessions/{hostile}", f"messages/{hostile}", f"tasks/{hostile}"):
            assert await status_of(daemon, "GET", f"/api/{path}") in (400, 404), path
        for path in (f"sessions/{hostile}/prompt", f"tasks/{hostile}/cancel", f"tools/{hostile}"):
            body = {"text": "x"} if "prompt" in path else {}
            got = await status_of(daemon, "POST", f"/api/{path}", json=body)
            assert got in (400, 404, 405), path
        got = await status_of(daemon, "GET", "/api/messages", params={"session": hostile})
        assert got in (200, 404)
    assert files(daemon.home) == before


async def test_a_wrong_query_is_400(start: Start) -> None:
    """The parameter is named."""
    daemon = await start("a")
    for query in QUERIES:
        response = await daemon.raw("GET", query)
        assert response.status_code == 400, query
        name = query.partition("?")[2].partition("=")[0]
        assert name in response.json()["error"]["message"]


async def test_hostile_words_in_fields_are_refused_or_kept_as_they_are(
    start: Start, model: ScriptedModel
) -> None:
    """Control characters, NUL and direction marks are text; as a thread or an id they are not."""
    daemon = await start("a", "b")
    text = "\x1b[31mred\x00 \u202eback\u200b \U0001f4a5"
    sent_message = await daemon.post("/api/messages", to="b", content=text)
    assert sent_message["content"] == text
    for thread in ("a\nb", "\x00", "x" * 300):
        body = {"to": "b", "content": "x", "threadId": thread}
        assert await status_of(daemon, "POST", "/api/messages", json=body) == 400
    for id in ("a\nb", "\x00", "x" * 65, "ä", "a/b", "..", "Operator", "A"):
        made = {"session_id": id, "provider_template": "scripted"}
        assert await status_of(daemon, "POST", "/api/sessions", json=made) == 400, id
    assert await daemon.say("a", text) == "ok"


async def test_a_request_that_breaks_off_harms_nobody(start: Start) -> None:
    """Half a head, half a body, garbage, a client that is gone: the next one is answered."""
    daemon = await start("a")
    path = str(daemon.home / "state/clawd.sock")
    head = b"POST /api/sessions/a/prompt HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for words in (
        b"GET /api/sta",
        b"\x00\xff\x16\x03\x01",
        head + b"Content-Length: 100\r\n\r\n" + b'{"text": "ha',
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/status HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(words)
        writer.close()
    assert await daemon.say("a", "hello") == "ok"
    assert len(daemon.named("run_started")) == 1


async def test_a_body_of_200_mb_is_not_read_to_its_end(start: Start) -> None:
    """R11: refused as soon as it is too large, with the answer that says so."""
    daemon = await start("a")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3_200):
            yield b"x" * 65_536

    headers = {"Content-Type": "application/json"}
    path = "/api/sessions/a/prompt"
    assert await status_of(daemon, "POST", path, content=endless(), headers=headers) == 413
    assert await daemon.say("a", "hello") == "ok"


async def test_many_connections_at_once(start: Start) -> None:
    """R11: two hundred that say nothing, or half of something, do not keep the others waiting."""
    daemon = await start("a")
    path = str(daemon.home / "state/clawd.sock")
    open_ones = [await asyncio.open_unix_connection(path) for _ in range(200)]
    head = b"POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    halves = (b"", b"GET /api/sta", head, head + b"Content-Length: 100\r\n\r\n{")
    for number, (_, writer) in enumerate(open_ones):
        writer.write(halves[number % len(halves)])
        await writer.drain()
    async with asyncio.timeout(5):
        assert await daemon.say("a", "hello") == "ok"
    for _, writer in open_ones:
        writer.close()
