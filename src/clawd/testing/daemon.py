"""A running daemon: started as a user would start it, asked over its socket, killed at will.

::

    async with ScriptedModel() as model, RunningDaemon(home) as daemon:
        answer = await daemon.say("default", "Hello")
        await daemon.idle()

Nothing here sleeps: every wait looks at the daemon's own events.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from clawd.errors import ClawdError
from clawd.testing.nursery import Process, nursery

JSON = dict[str, Any]
SECONDS = 30.0


class ApiError(ClawdError):
    """The daemon answered with an error; ``http`` is its status."""

    def __init__(self, http: int, body: JSON) -> None:
        error = body.get("error", {})
        super().__init__(error.get("code", "?"), error.get("message", str(body)))
        self.http = http
        self.body = error


class DaemonDied(ClawdError):
    """The daemon ended before it was ready, with this exit code and these words."""

    def __init__(self, code: int, output: str) -> None:
        super().__init__("daemon_died", f"the daemon ended with {code}: {output}")
        self.exit_status = code
        self.output = output


class RunningDaemon:
    """A daemon of its own process on ``home``, which holds a ``config.json``."""

    def __init__(
        self,
        home: Path,
        *,
        environ: Mapping[str, str] | None = None,
        umask: int = -1,
        heard: Callable[[JSON], object] | None = None,
        fresh: bool = False,
    ) -> None:
        """With ``heard``, each event is handed to it and none is kept: for runs of hours.

        ``fresh`` gives it an interpreter of its own instead of a fork of one that has loaded
        clawd. So does an ``environ``, for some of it (``LD_PRELOAD``, ``PYTHONPATH``) is only
        read when an interpreter starts.
        """
        self.home = home
        self._heard = heard
        self.events: list[JSON] = []
        self._environ = {**os.environ, **(environ or {})}
        self._umask = umask
        self._fresh = fresh or environ is not None
        self._process: Process | None = None
        self._running = AsyncExitStack()
        self._client: httpx2.AsyncClient | None = None
        self._arrived = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start it and wait until it answers; the error is what it said when it does not."""
        with (
            # Not in the home, whose path may be too long for a socket.
            tempfile.TemporaryDirectory(prefix="clawd-") as folder,
            _notifications(Path(folder, "notify")) as channel,
            open(self.home / "daemon.err", "wb") as errors,  # noqa: ASYNC230 - a test's own file
        ):
            async with asyncio.timeout(SECONDS):
                notify = {"NOTIFY_SOCKET": f"{folder}/notify"}
                self._process = await self._born(self._environ | notify, errors.fileno())
                await self._ready(channel, self._process)
        await self._connect()

    async def _born(self, environ: dict[str, str], errors: int) -> Process:
        words = ("daemon", "run", "--home", str(self.home))
        if not self._fresh:
            return await nursery.start(words, environ=environ, umask=self._umask, errors=errors)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clawd", *words),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            env=environ,
            umask=self._umask,
        )

    async def _ready(self, channel: socket.socket, process: Process) -> None:
        """The first of two: it says that it is ready, or it ends."""
        async with asyncio.TaskGroup() as group:
            heard = group.create_task(asyncio.get_running_loop().sock_recv(channel, 64))
            ended = group.create_task(process.wait())
            await asyncio.wait([heard, ended], return_when=asyncio.FIRST_COMPLETED)
            heard.cancel()
            ended.cancel()
        if process.returncode is not None:
            output = await asyncio.to_thread((self.home / "daemon.err").read_text)
            raise DaemonDied(process.returncode, output)

    async def stop(self) -> int:
        """End it with SIGTERM and wait; the exit code."""
        return await self._end(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal and wait for nothing."""
        if self._process is not None:
            self._process.send_signal(number)

    async def gone(self) -> int:
        """Wait until it has ended by itself; the exit code, negative for a signal's number."""
        return await self._end(None)

    async def kill(self) -> None:
        """End it with SIGKILL: no handler runs, nothing is flushed."""
        await self._end(signal.SIGKILL)

    async def get(self, path: str, **query: Any) -> JSON:
        """``GET``; raises ``ApiError``."""
        return await self.ask("GET", path, params=query)

    async def post(self, path: str, **body: Any) -> JSON:
        """``POST`` with a JSON body; raises ``ApiError``."""
        return await self.ask("POST", path, json=body)

    async def ask(self, method: str, path: str, **options: Any) -> JSON:
        """One request; raises ``ApiError``."""
        response = await self.raw(method, path, **options)
        body: JSON = response.json()
        if response.status_code >= 400:
            raise ApiError(response.status_code, body)
        return body

    async def raw(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request as it stands; its answer, whatever the status."""
        if self._client is None:
            raise RuntimeError("the daemon does not run")
        return await self._client.request(method, path, **options)

    async def tool(self, session: str, name: str, /, **arguments: Any) -> JSON:
        """Call a tool as a session; its facts, or its error object."""
        answer = await self.post(f"/api/tools/{name}", session=session, arguments=arguments)
        result: JSON = answer["result"]
        return result

    async def prompt(self, session: str, text: str, **options: Any) -> str:
        """Send a line; the id of its turn."""
        accepted = await self.post(f"/api/sessions/{session}/prompt", text=text, **options)
        return str(accepted["turn"])

    async def say(self, session: str, text: str, **options: Any) -> str:
        """Send a line and wait for the final text; a failed turn raises ``ApiError``."""
        return await self.ended(await self.prompt(session, text, **options))

    async def ended(self, turn: str) -> str:
        """Wait for the end of a turn; its final text."""
        event = await self.until(
            lambda e: e.get("run_id") == turn and e["event"] in ("run_finished", "run_failed")
        )
        if event["event"] == "run_failed":
            raise ApiError(0, {"error": {"code": event["error"]["error"], **event["error"]}})
        return str(event["final_message"])

    async def task(self, task_id: str, *, seconds: float = SECONDS) -> JSON:
        """The task once it has ended, or as it is when the time is over."""
        return await self.get(f"/api/tasks/{task_id}", wait=seconds - 5)

    async def verdicts(self, task_id: str, session: str | None = None) -> list[JSON]:
        """The messages that tell of a task's end; waits for the first, of whoever it is for."""
        query = {"thread": task_id} | ({} if session is None else {"session": session})
        found = list((await self.get("/api/messages", **query))["items"])
        if not found:
            # Of one that is there already a kill may have taken the event.
            await self.until(
                lambda e: (
                    e["event"] == "session_message" and e["message"].get("threadId") == task_id
                )
            )
            found = list((await self.get("/api/messages", **query))["items"])
        return found

    async def until(self, wanted: Callable[[JSON], bool], *, seconds: float = SECONDS) -> JSON:
        """The first event, of those since the start, that ``wanted`` accepts."""
        looked = 0
        async with asyncio.timeout(seconds), self._arrived:
            while True:
                for event in self.events[looked:]:
                    if wanted(event):
                        return event
                looked = len(self.events)
                await self._arrived.wait()

    async def idle(self, *sessions: str, seconds: float = SECONDS) -> None:
        """Wait until none of these sessions (of all) is in a turn and nothing waits to start."""
        async with asyncio.timeout(seconds):
            while True:
                seen = len(self.events)
                listed = (await self.get("/api/sessions"))["items"]
                asked = [s for s in listed if not sessions or s["id"] in sessions]
                if all(s["status"] != "busy" and not s["queue"] for s in asked):
                    return
                # A turn settles a little after its last event: that much is looked at again.
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05), self._arrived:
                        while len(self.events) == seen:
                            await self._arrived.wait()

    def named(self, name: str, session: str | None = None) -> list[JSON]:
        """The events of a kind so far."""
        return [
            e for e in self.events if e["event"] == name and session in (None, e.get("session"))
        ]

    async def _connect(self) -> None:
        pointer = self.home / "state" / "socket"
        path = self.home / "state" / "clawd.sock"
        if pointer.is_file():
            path = Path(pointer.read_text(encoding="utf-8").strip())
        transport = httpx2.AsyncHTTPTransport(uds=str(path))
        self._client = await self._running.enter_async_context(
            httpx2.AsyncClient(transport=transport, base_url="http://clawd", timeout=SECONDS)
        )
        group = await self._running.enter_async_context(asyncio.TaskGroup())
        connected = asyncio.Event()
        self._reading = group.create_task(self._read(self._client, connected))
        async with asyncio.timeout(SECONDS):
            await connected.wait()

    async def _read(self, client: httpx2.AsyncClient, connected: asyncio.Event) -> None:
        with suppress(httpx2.HTTPError):
            async with client.stream("GET", "/api/events?after=0", timeout=None) as response:
                connected.set()
                async for line in _lines(response.aiter_bytes()):
                    if line.startswith(b"data: "):
                        self._take(json.loads(line[6:]))
                        async with self._arrived:
                            self._arrived.notify_all()

    def _take(self, event: JSON) -> None:
        if self._heard is None:
            self.events.append(event)
        else:
            self._heard(event)

    async def _end(self, number: int | None) -> int:
        process = self._process
        if process is None:
            return 0
        if number is not None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
        async with asyncio.timeout(SECONDS):
            await process.wait()
        if self._reading is not None:
            # The stream ends with the process, and its end closes the pool's idle connections:
            # cancelled in the middle of that, the client would leave the rest of them open.
            await asyncio.wait([self._reading], timeout=SECONDS)
            self._reading.cancel()
        await self._running.aclose()
        self._process = None
        self._client = None
        return process.returncode or 0


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines of a stream, parted at LF alone: U+2028 and its like are text."""
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line


def _notifications(path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    channel.bind(str(path))
    return channel


Start = Callable[..., Awaitable[RunningDaemon]]
"""Starts a daemon on sessions named by the test (a fixture's type)."""
