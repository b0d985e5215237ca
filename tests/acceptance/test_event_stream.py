"""The event stream over HTTP: numbered, taken up again, and never slowed down by a reader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from clawd.testing.daemon import JSON, ApiError, RunningDaemon, Start
from clawd.testing.model import ScriptedModel, call, calls, say


@dataclass(frozen=True)
class Frame:
    """One server-sent event."""

    id: str
    name: str
    data: JSON

    @property
    def seq(self) -> int:
        """The number that its id begins with."""
        return int(self.id.partition("-")[0])


@asynccontextmanager
async def viewing(
    daemon: RunningDaemon, last: str | None = None, **query: Any
) -> AsyncIterator[AsyncIterator[Frame]]:
    """The frames of ``GET /api/events``."""
    transport = httpx2.AsyncHTTPTransport(uds=str(daemon.home / "state/clawd.sock"))
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://clawd", timeout=20) as client,
        client.stream("GET", "/api/events", params=query, headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield frames(response)


async def frames(response: httpx2.Response) -> AsyncIterator[Frame]:
    """The frames of a response, each ended by an empty line."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Frame(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


async def until(seen: AsyncIterator[Frame], name: str, **wanted: Any) -> list[Frame]:
    """The frames up to the first of this name whose data has these fields."""
    found: list[Frame] = []
    async with asyncio.timeout(20):
        async for frame in seen:
            found.append(frame)
            if frame.name == name and wanted.items() <= frame.data.items():
                return found
    raise AssertionError(f"the stream ended before {name}: {[f.name for f in found]}")


async def many_events(daemon: RunningDaemon, model: ScriptedModel) -> None:
    """A turn of some eight hundred events."""
    model.script("a", [calls(*(call("list_agents", query=str(n)) for n in range(400))), say("ok")])
    await daemon.say("a", "look")


async def test_ids_names_and_data_agree(start: Start) -> None:
    """Each frame has its number, its name and one JSON object that says the same."""
    daemon = await start("a")
    async with viewing(daemon, after=0) as seen:
        turn = await daemon.prompt("a", "hello")
        found = await until(seen, "run_finished", run_id=turn)
    assert [f.seq for f in found] == list(range(1, len(found) + 1))
    assert [f.name for f in found] == [f.data["event"] for f in found]
    assert [f.seq for f in found] == [f.data["seq"] for f in found]
    assert len({f.id.partition("-")[2] for f in found}) == 1
    assert all(f.data["time"].endswith("Z") for f in found)


async def test_a_viewer_goes_on_where_it_was(start: Start) -> None:
    """By ``Last-Event-ID`` or ``after``: what came since, once, in order, and then what comes."""
    daemon = await start("a")
    async with viewing(daemon, after=0) as seen:
        first = await until(seen, "run_finished", run_id=await daemon.prompt("a", "one"))
    missed = await daemon.prompt("a", "two")
    await daemon.ended(missed)
    by_number = {"after": first[-1].seq}
    for last, query in ((first[-1].id, {}), (str(first[-1].seq), {}), (None, by_number)):
        async with viewing(daemon, last, **query) as seen:
            found = await until(seen, "run_finished", run_id=missed)
        assert found[0].seq == first[-1].seq + 1
        assert [f.seq for f in found] == list(range(found[0].seq, found[0].seq + len(found)))
    # A client that connects again sends its first query once more; the header is the newer.
    async with viewing(daemon, first[-1].id, after=0) as seen:
        assert (await until(seen, "run_finished"))[0].seq == first[-1].seq + 1


async def test_the_answer_to_a_prompt_says_where_to_look(start: Start) -> None:
    """A viewer that asks for events after ``seq`` sees the whole turn."""
    daemon = await start("a")
    accepted = await daemon.post("/api/sessions/a/prompt", text="hello")
    await daemon.ended(accepted["turn"])
    async with viewing(daemon, after=accepted["seq"]) as seen:
        found = await until(seen, "run_finished", run_id=accepted["turn"])
    names = [f.name for f in found if f.data.get("run_id") == accepted["turn"]]
    assert names[:2] == ["prompt_queued", "run_started"]


async def test_without_a_number_it_begins_now(start: Start) -> None:
    """What was before is not told."""
    daemon = await start("a")
    await daemon.say("a", "one")
    before = (await daemon.get("/api/status"))["seq"]
    async with viewing(daemon) as seen:
        turn = await daemon.prompt("a", "two")
        found = await until(seen, "run_finished", run_id=turn)
    assert found[0].seq > before


async def test_one_session_and_the_daemons_own(start: Start) -> None:
    """``session`` leaves out the others, and keeps what concerns the whole daemon."""
    daemon = await start("a", "b")
    async with viewing(daemon, session="a", after=0) as seen:
        await daemon.say("b", "not yours")
        config = daemon.home / "config.json"
        config.write_text(config.read_text("utf-8") + "\n", encoding="utf-8")
        found = await until(seen, "notice", code="config_reloaded")
        found += await until(seen, "run_finished", run_id=await daemon.prompt("a", "yours"))
    assert {f.data.get("session", "") for f in found} == {"", "a"}
    with pytest.raises(ApiError) as caught:
        await daemon.get("/api/events", session="nobody")
    assert caught.value.http == 404


async def test_after_a_restart_everything_is_news(start: Start) -> None:
    """Ids of another daemon are not taken for this one's, however many events it has had."""
    daemon = await start("a")
    async with viewing(daemon, after=0) as seen:
        first = await until(seen, "run_finished", run_id=await daemon.prompt("a", "one"))
    await daemon.kill()
    await daemon.start()
    for text in "xyz":
        await daemon.say("a", text)
    turn = await daemon.prompt("a", "last")
    await daemon.ended(turn)
    assert (await daemon.get("/api/status"))["seq"] > first[-1].seq
    async with viewing(daemon, first[-1].id) as seen:
        found = await until(seen, "run_finished", run_id=turn)
    assert found[0].seq == 1
    beyond = str(10**6)
    async with viewing(daemon, beyond) as seen:
        assert (await until(seen, "run_finished", run_id=turn))[0].seq == 1


async def test_a_gap_is_an_event_with_its_count(start: Start, model: ScriptedModel) -> None:
    """What is no longer at hand is counted; nothing is missing without being told."""
    daemon = await start("a")
    for _ in range(6):
        await many_events(daemon, model)
    total = (await daemon.get("/api/status"))["seq"]
    if total <= 4096:
        pytest.fail(f"the test makes too few events: {total}")
    async with viewing(daemon, after=10) as seen:
        first = await anext(seen)
        second = await anext(seen)
    assert first.name == "missed"
    assert first.data["count"] == second.seq - 11
    assert first.seq == second.seq - 1


async def test_a_reader_that_sleeps_slows_nobody(start: Start, model: ScriptedModel) -> None:
    """Ten viewers that never read: turns are as quick as without, and they are told of the gap."""
    daemon = await start("a")
    path = str(daemon.home / "state/clawd.sock")
    sleepers = []
    for _ in range(10):
        reader, writer = await asyncio.open_unix_connection(path, limit=2**16)
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: clawd\r\n\r\n")
        await reader.readuntil(b": clawd\n\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        sleepers.append((reader, writer))
    for _ in range(4):
        async with asyncio.timeout(10):
            await many_events(daemon, model)
    reader, writer = sleepers[0]
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while b"event: missed\n" not in await reader.readuntil(b"\n"):
            pass
    for _, each in sleepers:
        each.close()
    assert await daemon.say("a", "still quick?") == "ok"
